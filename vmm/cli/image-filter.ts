/** `--filter` of images, with Docker's keys and meaning. */
import { VmmError } from '../api/errors.ts';
import type { ImageStore } from '../api/images.ts';
import { imageDetails, type ImageRecord } from '../api/store.ts';
import { hasLabel } from './label-filter.ts';
import { moment } from './moment.ts';

/** An image of a list. */
export interface Listed {
  readonly record: ImageRecord;
  readonly names: readonly string[];
}
export type ImageFilter = readonly [key: string, text: string];

/** Reads KEY=VALUE of a command that knows these keys. */
export function imageFilter(...known: readonly string[]): (text: string, option: string) => ImageFilter {
  return (text, option) => {
    const [, key = '', value = ''] = /^([a-z]+!?)=(.*)$/s.exec(text) ?? [];
    if (!known.includes(key)) throw new VmmError('USAGE', `${option}: ${text} is not understood`, { hint: known.map((one) => `${one}=…`).join(', ') });
    if (key === 'dangling' && !/^(true|false|1|0)$/.test(value)) throw new VmmError('USAGE', `${option}: dangling is true or false, not ${value}`, { hint: 'for example dangling=true' });
    return [key, value];
  };
}

/** When an image was made, as it says, else when it came here. */
export function createdAt({ created, imported }: ImageRecord): string {
  return created === undefined || Number.isNaN(Date.parse(created)) ? imported : created;
}

/** What all filters together choose: of `reference` and `id` one has to fit, of the others each. Throws IMAGE_NOT_FOUND for one that is to be before or since. */
export function imagesChosen(store: ImageStore, filters: readonly ImageFilter[]): (image: Listed) => boolean {
  const any = (key: string): string[] => filters.filter(([name]) => name === key).map(([, text]) => text);
  const [references, ids] = [any('reference'), any('id')];
  const tests = filters.flatMap(([key, text]) => testOf(store, key, text) ?? []);
  return (image) =>
    (references.length === 0 || references.some((pattern) => image.names.some((name) => fits(name, pattern)))) &&
    (ids.length === 0 || ids.some((id) => image.record.id.replace(/^sha\d+:/, '').startsWith(id.replace(/^sha\d+:/, '')))) &&
    tests.every((test) => test(image));
}

function testOf(store: ImageStore, key: string, text: string): ((image: Listed) => boolean) | undefined {
  const made = ({ record }: Listed): number => Date.parse(createdAt(record));
  // Of one whose labels are not known neither is true: `label!=` is for what goes.
  const labelled = ({ record }: Listed, wanted: boolean): boolean => {
    const details = imageDetails(store, record);
    return details !== undefined && hasLabel(details.labels, text) === wanted;
  };
  switch (key) {
    case 'dangling':
      return ({ names }) => (names.length === 0) === (text === 'true' || text === '1');
    case 'label':
      return (image) => labelled(image, true);
    case 'label!':
      return (image) => labelled(image, false);
    case 'until': {
      const before = moment(text, '--filter until');
      return (image) => made(image) < before;
    }
    case 'before': {
      const before = Date.parse(createdAt(store.named(text).record));
      return (image) => made(image) < before;
    }
    case 'since': {
      const since = Date.parse(createdAt(store.named(text).record));
      return (image) => made(image) > since;
    }
    default:
      return undefined;
  }
}

/** As Docker (reference.FamiliarMatch): the pattern is held against the name with its tag and without, in full and in Docker's short form. */
function fits(name: string, pattern: string): boolean {
  const short = name.replace(/^docker\.io\/(library\/(?=[^/]*$))?/, '');
  const expression = globOf(pattern);
  return [name, short].some((text) => expression.test(text) || expression.test(repositoryOf(text)));
}

function repositoryOf(name: string): string {
  return name.replace(/@.*$|:[^/]*$/, '');
}

/** Go's path.Match: `*` and `?` stop at a slash, `[a-z]` and `[^a]` are classes, a backslash takes its meaning away. Throws USAGE. */
function globOf(pattern: string): RegExp {
  if (pattern.length > 300) throw new VmmError('USAGE', `--filter: a pattern of ${pattern.length} characters`, { hint: 'for example reference=debian:*' });
  const parts = pattern.replace(/\*+/g, '*').match(/\\.|\[\^?(?:\\.|[^\]])+\]|./gsu) ?? [];
  const source = parts.map((part) => {
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (part.length > 1 && part.startsWith('[')) return part.replace(/(?<=.)\[/g, '\\[');
    return part.replace(/^\\(?=.)/s, '').replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
  try {
    return new RegExp(`^${source.join('')}$`, 's');
  } catch {
    throw new VmmError('USAGE', `--filter: ${pattern} is no pattern`, { hint: 'for example reference=debian:*' });
  }
}
