import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore, isImageName, type ResolveOptions } from '../api/images.ts';
import { type ImageRecord, importImage, pruneStore, removeImage, tagImage } from '../api/store.ts';
import { parseArgs } from './args.ts';
import { oneLine } from './describe.ts';
import { columns, IMAGE_OPTIONS, type ImageOptions, importing, withStandardInput } from './image-options.ts';
import type { Command } from './options.ts';
import { print } from './output.ts';
import { size } from './size-text.ts';

const HELP = `Usage: vmm image COMMAND

Commands:
  ls|list [-q]              list the images of the local store (-q: ids only)
  import [-q] IMAGE [NAME]  import an image (path, dir:, oci:, oci-archive:, docker-archive:, aci:; - for an archive on standard
                            input) under its own name or NAME (-q: no notes, no progress)
  inspect IMAGE             print what the store knows of an image, as JSON
  load [-q] [-i FILE]       import all images of an archive (default: on standard input) under their names, as docker load does
  save [-o FILE] IMAGE…     write images as an archive for oci-archive:, docker load and vmm image load (default: to standard output)
  history IMAGE             print the steps by which an image was made (--no-trunc: whole lines)
  fsck [--repair] [--data]  check all of the store (--repair: remove what is damaged, make disks again of their layers; --data:
                            compare each disk with its layers)
  tag IMAGE NAME            give an image a further name
  tags NAME                 print the tags that a registry has for a name
  referrers NAME            print what a registry has that refers to an image, such as signatures: digest, type, size
  rm IMAGE…                 remove names or images
  prune [-a, --all] [-f]    remove images without a name (--all: every image) and leavings; it asks nothing, with -f (--force) or without

The store is $VMM_STORE, else vmm/ below $XDG_DATA_HOME or ~/.local/share.
`;

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
  load: { options: ['quiet', 'input'], takes: [0, 0, 'no argument: give -i FILE'], run: async (...given) => (await import('./image-archive.ts')).load(...given) },
  save: { options: ['output'], takes: [1, Number.POSITIVE_INFINITY, 'one image or more'], run: async (...given) => (await import('./image-archive.ts')).save(...given) },
  history: { options: ['noTrunc', 'quiet'], takes: [1, 1, 'one image'], run: async (...given) => (await import('./image-archive.ts')).history(...given) },
  fsck: { options: ['repair', 'data'], takes: [0, 0, 'no argument'], run: async (...given) => (await import('./image-archive.ts')).fsck(...given) },
  inspect: { options: [], takes: [1, 1, 'one image'], run: inspect },
  tag: { options: [], takes: [2, 2, 'an image and a name'], run: async (store, [image = '', name = '']) => print(`${await tagImage(store, image, name)}\n`) },
  tags: { options: [], takes: [1, 1, 'one name'], run: tags },
  referrers: { options: [], takes: [1, 1, 'one name'], run: referrers },
  rm: { options: [], takes: [1, Number.POSITIVE_INFINITY, 'one image or more'], run: remove },
  prune: { options: ['all', 'force'], takes: [0, 0, 'no argument'], run: async (store, _, { all }) => print(`freed ${size(await pruneStore(store, all))}\n`) },
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
    throw new VmmError('USAGE', name === undefined ? 'image needs a command' : `unknown image command ${name}`, { hint: 'ls, import, load, save, history, inspect, tag, tags, referrers, rm, prune, fsck' });
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

const UNSET: ImageOptions = { all: false, force: false, quiet: false, input: undefined, output: undefined, noTrunc: false, repair: false, data: false, help: false };

function commandOf(name: string, { options }: ImageCommand): Command<Partial<typeof IMAGE_OPTIONS> & Command['options']> {
  const own = Object.fromEntries([...options, 'help' as const].map((key) => [key, IMAGE_OPTIONS[key]]));
  return { name: `image ${name}`, synopsis: '', about: '', options: own };
}

/** Their tables. */
export function imageCommands(): Command[] {
  return Object.entries(COMMANDS).flatMap(([name, command]) => (name === 'list' ? [] : [commandOf(name, command)]));
}

async function importOne(store: ImageStore, [image = '', ...given]: readonly string[], { quiet }: ImageOptions): Promise<void> {
  // Before the work, not after it.
  for (const name of given) if (!isImageName(name)) throw new VmmError('USAGE', `${JSON.stringify(name.slice(0, 300))} is not an image name`, { hint: 'for example debian:12' });
  const { line, options } = importing(store, quiet);
  const { record, names } = await (image === '-' ? importStandardInput(options, given) : importImage(image, options, given)).finally(() => line.clear());
  print(`${[record.id, ...names].join(' ')}\n`);
}

/** An archive of any kind that an image may have; it has no end that could be looked for first, so it is kept meanwhile. */
function importStandardInput(options: ResolveOptions & { store: ImageStore }, names: readonly string[]): Promise<{ record: ImageRecord; names: readonly string[] }> {
  return withStandardInput('image import -', options, (path) => importImage(path, options, names, '-'));
}

async function tags(_: ImageStore, [text = '']: readonly string[]): Promise<void> {
  const { listTags } = await import('../api/registry.ts');
  for (const tag of await listTags(text, process.env)) print(`${oneLine(tag)}\n`);
}

async function referrers(_: ImageStore, [text = '']: readonly string[]): Promise<void> {
  const { findReferrers } = await import('../api/registry.ts');
  for (const { digest, artifactType, mediaType, size: bytes } of await findReferrers(text, process.env)) print(`${oneLine(`${digest} ${artifactType ?? mediaType} ${bytes}`)}\n`);
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
  print(columns(rows));
}
