/** `vmm image ls`: Docker's columns and words; names are in full, as podman shows them. */
import { hostFs, ImageStore } from '../api/images.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { sinceText } from './duration-text.ts';
import { createdAt, imageFilter, imagesChosen } from './image-filter.ts';
import { flag, list, type OptionValues, value } from './options.ts';
import { print } from './output.ts';
import { dockerSize } from './size-text.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';

const NONE = '<none>';
const SHORT = 12;
const FILTERS = ['dangling', 'label', 'before', 'since', 'until', 'reference', 'id'];
/** Of columns that are not called as their fields. */
const TITLES = { ID: 'IMAGE ID', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', LastUsed: 'LAST USED' };

const LIST = {
  all: flag('for Docker’s sake: there are no intermediate images', { short: 'a' }),
  digests: flag('with what the names stand for at their registries'),
  filter: list('KEY=VALUE', `choose: ${FILTERS.join(', ')}`, imageFilter(...FILTERS), { short: 'f' }),
  format: value('TEMPLATE', 'a Go template of .ID .Repository .Tag .Digest .CreatedSince .CreatedAt .Size .LastUsed .Source, or json'),
  noTrunc: flag('whole ids'),
  quiet: flag('ids only', { short: 'q' }),
  help: HELP,
};

export const LIST_COMMAND: Subcommand = subcommand({ name: 'image ls', synopsis: '[OPTIONS] [REPOSITORY[:TAG]]', about: 'Lists the images of the local store.', options: LIST }, [0, 1, 'at most one name'], ([wanted], options) => {
  const store = new ImageStore(undefined, hostFs);
  const rows = rowsOf(store, wanted, options);
  if (options.quiet) print([...new Set(rows.map(({ ID }) => `${ID}\n`))].join(''));
  else print(formatRows(options.format ?? tableOf(options.digests), rows, TITLES));
  return 0;
});

function tableOf(digests: boolean): string {
  return `table {{.Repository}}\\t{{.Tag}}\\t${digests ? '{{.Digest}}\\t' : ''}{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}`;
}

function rowsOf(store: ImageStore, wanted: string | undefined, { filter, noTrunc }: OptionValues<typeof LIST>): Readonly<Record<string, string>>[] {
  const now = Date.now();
  const chosen = imagesChosen(store, filter);
  // A name alone is all its tags, as with Docker.
  const named = wanted === undefined ? undefined : imagesChosen(store, [['reference', wanted]]);
  return store.list().filter(chosen).flatMap(({ record, names, lastUsed }) => {
    const made = createdAt(record);
    const common = {
      ID: noTrunc ? record.id : record.id.replace(/^sha\d+:/, '').slice(0, SHORT),
      CreatedSince: `${sinceText(made, now)} ago`,
      CreatedAt: `${new Date(made).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
      Size: dockerSize(record.size),
      VirtualSize: dockerSize(record.size, 4),
      SharedSize: 'N/A',
      UniqueSize: 'N/A',
      Containers: 'N/A',
      LastUsed: lastUsed.toISOString(),
      Source: oneLine(record.source),
    };
    if (names.length === 0) return named === undefined ? [{ Repository: NONE, Tag: NONE, Digest: NONE, ...common }] : [];
    return names.filter((name) => named?.({ record, names: [name] }) !== false).map((name) => ({ ...partsOf(store, name), ...common }));
  });
}

function partsOf(store: ImageStore, name: string): { Repository: string; Tag: string; Digest: string } {
  const at = name.indexOf('@');
  if (at >= 0) return { Repository: name.slice(0, at), Tag: NONE, Digest: name.slice(at + 1) };
  const colon = name.lastIndexOf(':');
  return { Repository: name.slice(0, colon), Tag: name.slice(colon + 1), Digest: store.digestOf(name) ?? NONE };
}
