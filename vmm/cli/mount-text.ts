/** `-v` and `--mount` as Docker reads them (20.10: volume/mounts/linux_parser.go, opts/mount.go), with its words. Nothing of the host is looked at. */
import { posix, resolve } from 'node:path';
import type { ShareCache } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { checkVolumeName, type VolumeDevice } from '../api/volumes.ts';
import { refuseTarget } from './mount-target.ts';
import { parseSize } from './sizes.ts';
import { driverOptions } from './volume-driver.ts';

interface Common {
  /** As errors name it: `-v`, `--mount`. */
  readonly option: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface BindRequest extends Common {
  readonly type: 'bind';
  /** Absolute. */
  readonly source: string;
  readonly recursive: boolean;
  readonly cache: ShareCache;
  /** The host's changes are told in the container. */
  readonly watch: boolean;
  /** A directory is made where there is nothing. */
  readonly make: boolean;
}

export interface VolumeRequest extends Common {
  readonly type: 'volume';
  /** None: as a volume of the image. */
  readonly name: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Where it is made: its quota, bytes; what it is instead of a directory of the store. */
  readonly size: number | undefined;
  readonly device?: VolumeDevice | undefined;
  /** What of it is mounted: a path beneath, normalized. */
  readonly subpath?: string | undefined;
  /** The image's content is not copied into an empty one. */
  readonly noCopy: boolean;
  readonly cache: ShareCache;
  readonly watch: boolean;
}

export interface TmpfsRequest extends Common {
  readonly type: 'tmpfs';
  /** As `--tmpfs` has them. */
  readonly options: string;
}

/** What a user asked to have mounted. */
export type MountRequest = BindRequest | VolumeRequest | TmpfsRequest;

const PROPAGATION = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];
/** Docker's consistency: whose view counts. */
const CACHE: Readonly<Record<string, ShareCache>> = { consistent: 'none', default: 'auto', cached: 'auto', delegated: 'always' };
/** Words behind the second colon of -v; of each kind one. `z` and `Z` relabel for SELinux, which a guest of its own has no use for. */
const MODES: Readonly<Record<string, readonly string[]>> = { access: ['ro', 'rw'], label: ['z', 'Z'], copy: ['nocopy'], propagation: PROPAGATION, consistency: ['consistent', 'cached', 'delegated'], watch: ['watch'] };

function usage(option: string, what: string, hint: string): VmmError {
  return new VmmError('USAGE', `${option}: ${what}`, { hint });
}

/** `[HOST-DIR|NAME:]TARGET[:OPTION,…]`. Throws USAGE. */
export function parseVolume(text: string, option: string): MountRequest {
  const invalid = (): VmmError => usage(option, `invalid volume specification: '${text}'`, 'for example -v /host/dir:/dir:ro or -v name:/dir; paths with a colon by --mount');
  const parts = text.split(':');
  if (parts.length > 3 || parts.some((part, i) => part === '' && i < 2)) throw invalid();
  if (parts.length === 1) return volumeRequest(option, undefined, targetOf(option, text, text));
  const [source = '', target = '', modes = ''] = parts;
  if (parts.length === 2 && isModes(target)) throw invalid();
  const words = modeWords(option, modes);
  const common = { target: targetOf(option, text, target), readOnly: words['access'] === 'ro', cache: CACHE[words['consistency'] ?? 'default'] as ShareCache, watch: words['watch'] !== undefined };
  refuseWatch(option, common);
  const path = hostPath(source);
  if (path !== undefined) {
    if (words['copy'] !== undefined) throw usage(option, `invalid volume specification: '${text}': nocopy is for volumes, not for directories of the host`, 'leave nocopy away');
    refusePropagation(option, words['propagation']);
    return { type: 'bind', option, source: path, recursive: true, make: true, ...common };
  }
  if (words['propagation'] !== undefined) throw usage(option, `invalid volume specification: '${text}': ${words['propagation']} is for directories of the host, not for volumes`, `leave ${words['propagation']} away`);
  return { ...volumeRequest(option, checkVolumeName(source), common.target), ...common, noCopy: words['copy'] !== undefined };
}

/** The absolute path that a source of -v means; undefined for a volume's name. */
function hostPath(source: string): string | undefined {
  return source.startsWith('/') || source === '.' || source === '..' || source.startsWith('./') || source.startsWith('../') ? resolve(source) : undefined;
}

function volumeRequest(option: string, name: string | undefined, target: string): VolumeRequest {
  return { type: 'volume', option, name, target, readOnly: false, labels: {}, size: undefined, noCopy: false, cache: 'auto', watch: false };
}

function isModes(text: string): boolean {
  return text.split(',').every((word) => Object.values(MODES).flat().includes(word));
}

function modeWords(option: string, text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const word of text === '' ? [] : text.split(',')) {
    const kind = Object.keys(MODES).find((name) => MODES[name]?.includes(word));
    if (kind === undefined || found[kind] !== undefined) throw usage(option, `invalid mode: ${text}`, 'ro, rw, z, Z, nocopy, consistent, cached, delegated, private, rprivate or watch; of each kind one');
    found[kind] = word;
  }
  return found;
}

/** Mounts of a guest are its own: nothing that is mounted later comes in or goes out. */
function refusePropagation(option: string, word: string | undefined): void {
  if (word === undefined || word === 'private' || word === 'rprivate') return;
  if (!PROPAGATION.includes(word)) throw usage(option, `invalid mount config for type "bind": invalid propagation mode: ${word}`, 'private and rprivate are what there is');
  throw usage(option, `the propagation mode ${word} is not supported: a machine of its own has mounts of its own`, 'private and rprivate are what there is');
}

function targetOf(option: string, text: string, target: string): string {
  if (!target.startsWith('/')) throw usage(option, `invalid volume specification: '${text}': invalid mount path: '${target}' mount path must be absolute`, 'for example -v /host/dir:/dir');
  return refuseTarget(option, posix.normalize(target));
}

const KEYS: Readonly<Record<string, string>> = { source: 'src', src: 'src', target: 'dst', dst: 'dst', destination: 'dst', type: 'type', readonly: 'readonly', ro: 'readonly', watch: 'watch', consistency: 'consistency', 'bind-propagation': 'bind-propagation', 'bind-nonrecursive': 'bind-nonrecursive', 'bind-recursive': 'bind-recursive', 'volume-subpath': 'volume-subpath', 'volume-nocopy': 'volume-nocopy', 'volume-label': 'volume-label', 'volume-driver': 'volume-driver', 'volume-opt': 'volume-opt', 'tmpfs-size': 'tmpfs-size', 'tmpfs-mode': 'tmpfs-mode' };
const FLAGS: ReadonlySet<string> = new Set(['readonly', 'bind-nonrecursive', 'volume-nocopy', 'watch']);
const LISTS: ReadonlySet<string> = new Set(['volume-label', 'volume-opt']);
/** What Go's strconv.ParseBool takes. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

/** The fields of one --mount: values by key, flags as booleans, lists in order. */
interface Fields {
  readonly values: Readonly<Record<string, string>>;
  readonly flags: Readonly<Record<string, boolean>>;
  readonly lists: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
}

/** `type=bind|volume|tmpfs,source=…,target=…,…`, comma-separated values. Throws USAGE. */
export function parseMount(text: string, option: string): MountRequest {
  const { values, flags, lists } = mountFields(text, option);
  const type = values['type'] ?? 'volume';
  if (values['dst'] === undefined || values['dst'] === '') throw usage(option, `target is required: ${text}`, 'for example --mount type=bind,source=/host/dir,target=/dir');
  for (const prefix of ['bind', 'volume', 'tmpfs']) {
    const given = [...Object.keys(values), ...Object.keys(flags), ...Object.keys(lists)].some((key) => key.startsWith(`${prefix}-`));
    if (given && prefix !== type) throw usage(option, `cannot mix '${prefix}-*' options with mount type '${type}'`, `leave away what begins with ${prefix}-`);
  }
  const bad = (what: string, hint: string): VmmError => usage(option, `invalid mount config for type "${type}": ${what}`, hint);
  if (!values['dst'].startsWith('/')) throw bad(`invalid mount path: '${values['dst']}' mount path must be absolute`, 'begin it with /');
  const common = { option, target: refuseTarget(option, posix.normalize(values['dst'])), readOnly: flags['readonly'] ?? false };
  const cache = CACHE[values['consistency'] ?? 'default'];
  if (cache === undefined) throw usage(option, `invalid value for consistency: ${values['consistency']}`, 'consistent, cached or delegated');
  const source = values['src'] ?? '';
  const watch = flags['watch'] ?? false;
  refuseWatch(option, { cache, watch });
  switch (type) {
    case 'bind':
      if (source === '') throw bad('field Source must not be empty', 'add source=/host/dir');
      if (hostPath(source) === undefined) throw bad(`invalid mount path: '${source}' mount path must be absolute`, `./${source} is one below the working directory`);
      refusePropagation(option, values['bind-propagation']);
      return { type, source: hostPath(source) as string, recursive: isRecursive(values['bind-recursive'], flags['bind-nonrecursive'] ?? false, common.readOnly, option), make: false, cache, watch, ...common };
    case 'volume':
      if (source === '' && lists['volume-opt'] !== undefined) throw bad('volume-opt is for volumes that have a name', 'add source=NAME');
      if ((values['volume-driver'] ?? 'local') !== 'local') throw usage(option, `there is no volume driver ${values['volume-driver']}`, 'local is what there is');
      return { ...volumeRequest(option, source === '' ? undefined : checkVolumeName(source), common.target), ...common, cache, watch, noCopy: flags['volume-nocopy'] ?? false, labels: Object.fromEntries(lists['volume-label'] ?? []), subpath: subpathOf(values['volume-subpath'], source, bad), ...driverOptions(lists['volume-opt'] ?? [], option) };
    case 'tmpfs':
      if (source !== '') throw bad('field Source must not be specified', 'leave source away');
      if (watch) throw bad('nobody of the host changes memory: watch is for directories', 'leave watch away');
      return { type, options: tmpfsOptions(values, common.readOnly, option), ...common };
    default:
      throw bad('mount type unknown', 'bind, volume or tmpfs');
  }
}

function refuseWatch(option: string, { cache, watch }: { readonly cache: ShareCache; readonly watch: boolean }): void {
  if (watch && cache === 'always') throw usage(option, 'watch and delegated exclude each other: what is delegated nobody else changes', 'leave one of them away');
}

/** Docker 26: a path of what is in a volume, and nothing else. */
function subpathOf(subpath: string | undefined, source: string, bad: (what: string, hint: string) => VmmError): string | undefined {
  if (subpath === undefined) return undefined;
  if (source === '') throw bad('must not set Subpath when using anonymous volumes', 'add source=NAME');
  const path = posix.normalize(subpath);
  if (subpath === '' || path.split('/').some((name, i) => name === '..' || (name === '' && i === 0))) throw bad('subpath must be a relative path within the volume', 'for example volume-subpath=data/one');
  return path;
}

/** Docker 25's bind-recursive beside its older flag. What is mounted below a read-only source is read-only here always. */
function isRecursive(word: string | undefined, flag: boolean, readOnly: boolean, option: string): boolean {
  if (word === undefined) return !flag;
  if (flag && word !== 'disabled') throw usage(option, `bind-nonrecursive and bind-recursive=${word} exclude each other`, 'leave one of them away');
  if (word === 'enabled' || word === 'disabled') return word === 'enabled';
  if (word !== 'readonly' && word !== 'writable') throw usage(option, `invalid value for bind-recursive: ${word} (must be "enabled", "disabled", "writable", or "readonly")`, 'enabled is the default');
  if (!readOnly) throw usage(option, `option 'bind-recursive=${word}' requires 'readonly' to be specified in conjunction`, 'add readonly');
  if (word === 'writable') throw usage(option, 'bind-recursive=writable is not supported: read-only holds for all that is below', 'leave readonly away, or mount twice');
  return true;
}

function mountFields(text: string, option: string): Fields {
  const fields = { values: {} as Record<string, string>, flags: {} as Record<string, boolean>, lists: {} as Record<string, (readonly [string, string])[]> };
  for (const field of csvFields(text, option)) {
    const equals = field.indexOf('=');
    const given = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = Object.hasOwn(KEYS, given) ? (KEYS[given] as string) : undefined;
    if (equals < 0 && (key === undefined || !FLAGS.has(key))) throw usage(option, `invalid field '${field}' must be a key=value pair`, 'for example type=bind,source=/host/dir,target=/dir,readonly');
    if (key === undefined) throw usage(option, `unexpected key '${given}' in '${field}'`, `keys: ${Object.keys(KEYS).join(' ')}`);
    const value = equals < 0 ? 'true' : field.slice(equals + 1);
    if (LISTS.has(key)) {
      const [name = '', ...rest] = value.split('=');
      fields.lists[key] = [...(fields.lists[key] ?? []), [name, rest.join('=')]];
    } else if (!FLAGS.has(key)) fields.values[key] = value;
    else if (TRUE.includes(value) || FALSE.includes(value)) fields.flags[key] = TRUE.includes(value);
    else throw usage(option, `invalid value for ${given}: ${value}`, 'true or false');
  }
  return fields;
}

/** One record of RFC 4180, as Go's encoding/csv reads it: a field in double quotes may hold commas, and two of them for one. */
function csvFields(text: string, option: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length; ) {
    const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(text.slice(at));
    const [whole = '', inner] = quoted ?? (/^[^,]*/.exec(text.slice(at)) as RegExpExecArray);
    if (quoted === null && whole.includes('"')) throw usage(option, `a quotation mark within a field: ${whole}`, 'quote the whole field: --mount \'type=bind,"source=/a,b",target=/c\'');
    fields.push(quoted === null ? whole : (inner as string).replaceAll('""', '"'));
    at += whole.length + 1;
  }
  return fields;
}

function tmpfsOptions(values: Readonly<Record<string, string>>, readOnly: boolean, option: string): string {
  const { 'tmpfs-size': size, 'tmpfs-mode': mode = '1777' } = values;
  if (!/^[0-7]{1,4}$/.test(mode)) throw usage(option, `invalid value for tmpfs-mode: ${mode}`, 'an octal number, for example 1770');
  return [`mode=${mode}`, ...(size === undefined ? [] : [`size=${parseSize(size, `${option}: tmpfs-size`, 'bytes')}`]), ...(readOnly ? ['ro'] : [])].join(',');
}
