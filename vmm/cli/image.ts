import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore, isImageName, type ResolveOptions } from '../api/images.ts';
import { type ImageRecord, importImage, pruneStore, removeImage, spoolInput, tagImage } from '../api/store.ts';
import { parseArgs } from './args.ts';
import { HELP as HELP_FLAG } from './common-options.ts';
import { oneLine } from './describe.ts';
import { type Command, flag, type OptionValues } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { size } from './size-text.ts';

const HELP = `Usage: vmm image COMMAND

Commands:
  ls|list [-q]              list the images of the local store (-q: ids only)
  import [-q] IMAGE [NAME]  import an image (path, dir:, oci:, oci-archive:, docker-archive:, aci:; - for an archive on standard
                            input) under its own name or NAME (-q: no notes, no progress)
  inspect IMAGE             print what the store knows of an image, as JSON
  tag IMAGE NAME            give an image a further name
  tags NAME                 print the tags that a registry has for a name
  rm IMAGE…                 remove names or images
  prune [-a, --all]         remove images without a name (--all: every image) and leavings

The store is $VMM_STORE, else vmm/ below $XDG_DATA_HOME or ~/.local/share.
`;

/** Every command takes all of these, and heeds those that it has. */
const OPTIONS = {
  all: flag('every image', { short: 'a' }),
  quiet: flag('less output', { short: 'q' }),
  help: HELP_FLAG,
};
type ImageOptions = OptionValues<typeof OPTIONS>;

interface ImageCommand {
  readonly options: readonly (keyof ImageOptions)[];
  /** Least and most arguments, and what they are. */
  readonly takes: readonly [least: number, most: number, what: string];
  run(store: ImageStore, names: readonly string[], options: ImageOptions): void | Promise<void>;
}

const LIST: ImageCommand = { options: ['quiet'], takes: [0, 0, 'no argument'], run: (store, _, { quiet }) => list(store, quiet) };
const COMMANDS: Readonly<Record<string, ImageCommand>> = {
  ls: LIST,
  list: LIST,
  import: { options: ['quiet'], takes: [1, 2, 'an image and perhaps a name'], run: importOne },
  inspect: { options: [], takes: [1, 1, 'one image'], run: inspect },
  tag: { options: [], takes: [2, 2, 'an image and a name'], run: async (store, [image = '', name = '']) => print(`${await tagImage(store, image, name)}\n`) },
  tags: { options: [], takes: [1, 1, 'one name'], run: tags },
  rm: { options: [], takes: [1, Number.POSITIVE_INFINITY, 'one image or more'], run: remove },
  prune: { options: ['all'], takes: [0, 0, 'no argument'], run: async (store, _, { all }) => print(`freed ${size(await pruneStore(store, all))}\n`) },
};

/** `vmm image`. */
export async function imageCommand(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === 'help' || name === '--help' || name === '-h') {
    print(HELP);
    return 0;
  }
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (name === undefined || command === undefined) {
    throw new VmmError('USAGE', name === undefined ? 'image needs a command' : `unknown image command ${name}`, { hint: 'ls, import, inspect, tag, tags, rm, prune' });
  }
  const { options, operands } = parseArgs(rest, commandOf(name, command));
  if (options.help) {
    print(HELP);
    return 0;
  }
  const [least, most, what] = command.takes;
  if (operands.length < least || operands.length > most) throw new VmmError('USAGE', `image ${name} takes ${what}`, { hint: 'see `vmm image --help`' });
  await command.run(new ImageStore(undefined, hostFs), operands, { ...UNSET, ...options });
  return 0;
}

const UNSET: ImageOptions = { all: false, quiet: false, help: false };

function commandOf(name: string, { options }: ImageCommand): Command<Partial<typeof OPTIONS> & Command['options']> {
  const own = Object.fromEntries([...options, 'help' as const].map((key) => [key, OPTIONS[key]]));
  return { name: `image ${name}`, synopsis: '', about: '', options: own };
}

/** Their tables. */
export function imageCommands(): Command[] {
  return Object.entries(COMMANDS).flatMap(([name, command]) => (name === 'list' ? [] : [commandOf(name, command)]));
}

async function importOne(store: ImageStore, [image = '', ...given]: readonly string[], { quiet }: ImageOptions): Promise<void> {
  // Before the work, not after it.
  for (const name of given) if (!isImageName(name)) throw new VmmError('USAGE', `${JSON.stringify(name.slice(0, 300))} is not an image name`, { hint: 'for example debian:12' });
  const line = new ProgressLine(process.stderr);
  const note = (text: string): void => {
    line.clear();
    if (!quiet) tell(`vmm: ${oneLine(text)}\n`);
  };
  const options = { store, host: hostFs, note, ...(quiet ? {} : { progress: line.update }) };
  const { record, names } = await (image === '-' ? importStandardInput(options, given) : importImage(image, options, given)).finally(() => line.clear());
  print(`${[record.id, ...names].join(' ')}\n`);
}

/** An archive of any kind that an image may have; it has no end that could be looked for first, so it is kept meanwhile. */
async function importStandardInput(options: ResolveOptions & { store: ImageStore }, names: readonly string[]): Promise<{ record: ImageRecord; names: readonly string[] }> {
  if (process.stdin.isTTY) throw new VmmError('USAGE', 'image import - reads an archive from standard input, which is a terminal', { hint: 'for example: docker save debian | vmm image import -' });
  const input = await spoolInput(options.store, process.stdin, options.progress);
  try {
    return await importImage(input.path, options, names, '-');
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    throw new VmmError(error.code, error.message.replaceAll(input.path, '-'), { cause: error.cause, ...(error.hint === undefined ? {} : { hint: error.hint }) });
  } finally {
    input.close();
  }
}

async function tags(_: ImageStore, [text = '']: readonly string[]): Promise<void> {
  const { parseRegistryName, withRegistry } = await import('../api/registry.ts');
  for (const tag of await withRegistry(parseRegistryName(text), process.env, (client) => client.tags())) print(`${oneLine(tag)}\n`);
}

function inspect(store: ImageStore, [name = '']: readonly string[]): void {
  const record = store.find(name);
  if (record === undefined) throw store.notFound(name, 'see `vmm image ls`');
  print(`${JSON.stringify({ ...record, path: store.rootfsPath(record.rootfs) }, null, 2)}\n`);
}

async function remove(store: ImageStore, names: readonly string[]): Promise<void> {
  for (const name of names) for (const gone of await removeImage(store, name)) print(`removed ${gone}\n`);
}

function list(store: ImageStore, quiet: boolean): void {
  const rows = quiet ? [] : [['NAME', 'ID', 'SIZE', 'LAST USED', 'SOURCE']];
  for (const { record, names, lastUsed } of store.list()) {
    const id = record.id.replace(/^sha\d+:/, '').slice(0, 12);
    if (quiet) rows.push([id]);
    else for (const name of names.length > 0 ? names : ['<none>']) rows.push([name, id, size(record.size), lastUsed.toISOString().slice(0, 16).replace('T', ' '), oneLine(record.source)]);
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  print(rows.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 2))).join('')}\n`).join(''));
}
