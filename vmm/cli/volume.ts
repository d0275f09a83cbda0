import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { createVolume, findVolume, isVolumeUsed, listVolumes, noSuchVolume, pruneVolumes, removeVolume, type StoredVolume, type VolumeRecord } from '../api/volumes.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { describeError } from './describe.ts';
import { helpText } from './help.ts';
import { hasLabel } from './label-filter.ts';
import { type Command, flag, list, type OptionTable, type OptionValues, value } from './options.ts';
import { print, tell } from './output.ts';
import { type DriverOption, driverOptions, optionsOfVolume } from './volume-driver.ts';
import { ROOT } from './state-option.ts';
import { volumeUsers } from './volume-users.ts';
import { size } from './size-text.ts';
import { confirmed } from './confirm.ts';
import { formatEach, formatRows } from './template.ts';

const FILTERS = ['dangling', 'driver', 'label', 'name'];

const CREATE = {
  label: list('KEY[=VALUE]', 'set metadata', pair),
  opt: list('KEY=VALUE', 'size=SIZE: most of the host’s disk that it may take; type=none, o=bind, device=DIR: a directory of the host; type=tmpfs, device=tmpfs, o=…: memory', pair, { short: 'o' }),
  driver: value('local', 'a directory of the store', localDriver, { short: 'd' }),
  name: value('NAME', 'its name, as older scripts give it', (text) => text),
  help: HELP,
};
const LIST = {
  filter: list('KEY=VALUE', `choose: ${FILTERS.join(', ')}`, pair, { short: 'f' }),
  format: value('TEMPLATE', 'a Go template of .Name .Driver .Mountpoint .Scope .Labels .Size, or json', undefined),
  quiet: flag('names only', { short: 'q' }),
  root: ROOT,
  help: HELP,
};
const INSPECT = { format: value('TEMPLATE', 'a Go template of .Name .Driver .Mountpoint .Scope .CreatedAt, or json', undefined, { short: 'f' }), help: HELP };
const REMOVE = { force: flag('say nothing of volumes that are not there', { short: 'f' }), root: ROOT, help: HELP };
const PRUNE = {
  all: flag('those that have a name, too', { short: 'a' }),
  filter: list('label=KEY[=VALUE]', 'choose by label, or by label!', pair),
  force: flag('do not ask', { short: 'f' }),
  root: ROOT,
  help: HELP,
};

/** A command, its table, and how many arguments it takes. */
interface VolumeCommand<T extends OptionTable = OptionTable> {
  readonly command: Command<T>;
  readonly takes: readonly [least: number, most: number, what: string];
  run(store: ImageStore, names: readonly string[], options: OptionValues<T>): Promise<number>;
}

function define<T extends OptionTable>(name: string, synopsis: string, about: string, options: T, takes: VolumeCommand['takes'], run: VolumeCommand<T>['run']): VolumeCommand {
  return { command: { name: `volume ${name}`, synopsis, about, options }, takes, run: run as VolumeCommand['run'] };
}

const MANY = Number.POSITIVE_INFINITY;
const COMMANDS: readonly VolumeCommand[] = [
  define('create', '[OPTIONS] [NAME]', 'Makes a volume, and prints its name.', CREATE, [0, 1, 'at most one name'], create),
  define('ls', '[OPTIONS]', 'Lists volumes.', LIST, [0, 0, 'no argument'], ls),
  define('inspect', '[OPTIONS] NAME…', 'Prints what is known of volumes, as JSON.', INSPECT, [1, MANY, 'one name or more'], inspect),
  define('rm', '[OPTIONS] NAME…', 'Removes volumes that nobody uses, and what is in them.', REMOVE, [1, MANY, 'one name or more'], rm),
  define('prune', '[OPTIONS]', 'Removes all volumes without a name that nobody uses.', PRUNE, [0, 0, 'no argument'], prune),
];
const ALIASES: Readonly<Record<string, string>> = { list: 'ls', remove: 'rm' };
const NAMES = COMMANDS.map(({ command }) => command.name.slice('volume '.length));

const HELP_TEXT = `Usage: vmm volume COMMAND

Volumes are directories of the store ($VMM_STORE, else vmm/ below $XDG_DATA_HOME or ~/.local/share) that outlive containers:
vmm run -v NAME:/dir makes one, fills it from the image's directory, and mounts it.

Commands:
${COMMANDS.map(({ command }) => `  ${command.name.slice('volume '.length)} ${command.synopsis}\n      ${command.about}`).join('\n')}

\`vmm volume COMMAND --help\` tells a command's options.
`;

/** `vmm volume`. */
export async function volumeCommand(argv: readonly string[]): Promise<number> {
  const [given, ...rest] = argv;
  if (given === 'help' || given === '--help' || given === '-h') {
    print(HELP_TEXT);
    return 0;
  }
  const name = given === undefined ? undefined : (ALIASES[given] ?? given);
  const found = COMMANDS[NAMES.indexOf(name ?? '')];
  if (found === undefined) throw new VmmError('USAGE', given === undefined ? 'volume needs a command' : `unknown volume command ${given}`, { hint: NAMES.join(', ') });
  const { options, operands } = parseArgs(rest, found.command);
  if (options['help'] === true) {
    print(helpText(found.command));
    return 0;
  }
  const [least, most, what] = found.takes;
  if (operands.length < least || operands.length > most) throw new VmmError('USAGE', `volume ${name} takes ${what}`, { hint: `see \`vmm volume ${name} --help\`` });
  return found.run(new ImageStore(undefined, hostFs), operands, options);
}

/** Their tables. */
export function volumeCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

async function create(store: ImageStore, [given]: readonly string[], { label, opt, name = given }: OptionValues<typeof CREATE>): Promise<number> {
  if (given !== undefined && name !== given) throw new VmmError('USAGE', 'conflicting options: either specify --name or provide positional arg, not both', { hint: 'leave --name away' });
  const { record } = await createVolume(store, { name, labels: Object.fromEntries(label), ...driverOptions(opt, '--opt') });
  print(`${record.name}\n`);
  return 0;
}

async function ls(store: ImageStore, _: readonly string[], { filter, format, quiet, root }: OptionValues<typeof LIST>): Promise<number> {
  const wanted = filterOf(filter, FILTERS);
  const dangling = filter.filter(([key]) => key === 'dangling').map(([, text]) => boolean(text));
  const users = dangling.length > 0 ? await volumeUsers(root) : () => [];
  const volumes: StoredVolume[] = [];
  for (const volume of listVolumes(store.paths)) {
    if (!wanted(volume.record)) continue;
    if (dangling.length > 0 && !dangling.includes(users(volume.record.name).length === 0 && !(await isVolumeUsed(store, volume.record.name)))) continue;
    volumes.push(volume);
  }
  if (quiet) print(volumes.map(({ record }) => `${record.name}\n`).join(''));
  else print(formatRows(format ?? 'table {{.Driver}}\t{{.Name}}', volumes.map(rowOf), { Name: 'VOLUME NAME' }));
  return 0;
}

async function inspect(store: ImageStore, names: readonly string[], { format }: OptionValues<typeof INSPECT>): Promise<number> {
  const found: StoredVolume[] = [];
  let status = 0;
  for (const name of names) {
    const volume = findVolume(store.paths, name);
    if (volume !== undefined) found.push(volume);
    else status = complain(noSuchVolume(name));
  }
  const seen = found.map(viewOf);
  if (format === undefined || format === 'json') print(`${JSON.stringify(seen, null, 4)}\n`);
  else print(formatEach(format, seen));
  return status;
}

function viewOf({ record, path }: StoredVolume): Readonly<Record<string, unknown>> {
  return { CreatedAt: record.created, Driver: 'local', Labels: record.labels, Mountpoint: path, Name: record.name, Options: optionsOfVolume(record), Scope: 'local' };
}

/** For `vmm inspect`. Throws VOLUME_NOT_FOUND. */
export function volumeView(name: string): Readonly<Record<string, unknown>> {
  const volume = findVolume(new ImageStore(undefined, hostFs).paths, name);
  if (volume === undefined) throw noSuchVolume(name);
  return viewOf(volume);
}

async function rm(store: ImageStore, names: readonly string[], { force, root }: OptionValues<typeof REMOVE>): Promise<number> {
  let status = 0;
  const users = await volumeUsers(root);
  for (const name of names) {
    try {
      const ids = findVolume(store.paths, name) === undefined ? [] : users(name);
      if (ids.length > 0) throw new VmmError('VOLUME_BUSY', `remove ${name}: volume is in use - [${ids.join(', ')}]`, { hint: '`vmm rm` the container first' });
      await removeVolume(store, name);
      print(`${name}\n`);
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      if (force && error.code === 'VOLUME_NOT_FOUND') print(`${name}\n`);
      else status = complain(error);
    }
  }
  return status;
}

async function prune(store: ImageStore, _: readonly string[], { all, filter, force, root }: OptionValues<typeof PRUNE>): Promise<number> {
  const wanted = filterOf(filter, ['label', 'label!', 'all']);
  const named = all || filter.some(([key, text]) => key === 'all' && boolean(text));
  const what = named ? 'all volumes' : 'all volumes without a name';
  if (!force && !(await confirmed(`WARNING! This will remove ${what} that no vmm uses.\nAre you sure you want to continue? [y/N] `))) return 0;
  const users = await volumeUsers(root);
  const { names, freed } = await pruneVolumes(store, (record) => users(record.name).length === 0 && (named || record.anonymous) && wanted(record));
  if (names.length > 0) print(`Deleted Volumes:\n${names.join('\n')}\n\n`);
  print(`Total reclaimed space: ${size(freed)}\n`);
  return 0;
}

/** One of several failed: its line now, Docker's status 1 at the end. */
function complain(error: VmmError): number {
  tell(describeError(error));
  return 1;
}

/** Of several filters with one key one must fit; of labels each. */
function filterOf(filters: readonly DriverOption[], known: readonly string[]): (record: VolumeRecord) => boolean {
  const unknown = filters.find(([key]) => !known.includes(key));
  if (unknown !== undefined) throw new VmmError('USAGE', `--filter: Invalid filter '${unknown[0]}'`, { hint: known.join(', ') });
  const of = (key: string): string[] => filters.filter(([name]) => name === key).map(([, text]) => text);
  const [names, drivers] = [of('name'), of('driver')];
  return (record) =>
    (names.length === 0 || names.some((name) => record.name.includes(name))) &&
    (drivers.length === 0 || drivers.includes('local')) &&
    of('label').every((label) => hasLabel(record.labels, label)) &&
    !of('label!').some((label) => hasLabel(record.labels, label));
}

function rowOf({ record, path }: StoredVolume): Readonly<Record<string, unknown>> {
  const labels = Object.entries(record.labels).map(([key, text]) => `${key}=${text}`);
  return { Driver: 'local', Labels: labels.join(','), Links: 'N/A', Mountpoint: path, Name: record.name, Scope: 'local', Size: 'N/A' };
}

function pair(text: string): DriverOption {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

function boolean(text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw new VmmError('USAGE', `--filter: ${text} is not true or false`, { hint: 'for example dangling=true' });
}

function localDriver(text: string, option: string): string {
  if (text !== 'local') throw new VmmError('USAGE', `${option}: there is no volume driver ${text}`, { hint: 'local is what there is' });
  return text;
}
