import { importImage } from '../../image/resolve.ts';
import { pruneStore, removeImage } from '../../image/store/change.ts';
import { ImageStore, isImageName } from '../../image/store/store.ts';
import { VmmError } from '../../base/errors.ts';
import { type OptionSpec, type ParsedArgs, parseArgs } from './args.ts';
import { HELP as HELP_FLAG } from './common-options.ts';
import { oneLine } from './describe.ts';
import { hostFs } from './host-fs.ts';

const HELP = `Usage: vmm image COMMAND

Commands:
  ls|list [-q]              list the images of the local store (-q: ids only)
  import [-q] IMAGE [NAME]  import an image (path, dir:, oci:, oci-archive:, docker-archive:, aci:) under its own name or NAME
                            (-q: no notes)
  inspect IMAGE             print what the store knows of an image, as JSON
  rm IMAGE…                 remove names or images
  prune [-a, --all]         remove images without a name (--all: every image) and leavings

The store is $VMM_STORE, else vmm/ below $XDG_DATA_HOME or ~/.local/share.
`;

const ALL: OptionSpec = { name: 'all', short: 'a', kind: 'flag', help: 'every image' };
const QUIET: OptionSpec = { name: 'quiet', short: 'q', kind: 'flag', help: 'less output' };

interface ImageCommand {
  readonly options: readonly OptionSpec[];
  /** Least and most arguments, and what they are. */
  readonly takes: readonly [least: number, most: number, what: string];
  run(store: ImageStore, names: readonly string[], args: ParsedArgs): void | Promise<void>;
}

const LIST: ImageCommand = { options: [QUIET], takes: [0, 0, 'no argument'], run: (store, _, args) => list(store, args.flags.get('quiet') ?? false) };

const COMMANDS: Readonly<Record<string, ImageCommand>> = {
  ls: LIST,
  list: LIST,
  import: { options: [QUIET], takes: [1, 2, 'an image and perhaps a name'], run: importOne },
  inspect: { options: [], takes: [1, 1, 'one image'], run: inspect },
  rm: { options: [], takes: [1, Number.POSITIVE_INFINITY, 'one image or more'], run: remove },
  prune: {
    options: [ALL],
    takes: [0, 0, 'no argument'],
    run: async (store, _, args) => {
      process.stdout.write(`freed ${size(await pruneStore(store, args.flags.get('all') ?? false))}\n`);
    },
  },
};

/** `vmm image`. */
export async function imageCommand(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(HELP);
    return 0;
  }
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    throw new VmmError('USAGE', name === undefined ? 'image needs a command' : `unknown image command ${name}`, { hint: Object.keys(COMMANDS).join(', ') });
  }
  const args = parseArgs(rest, [...command.options, HELP_FLAG], { stopAtPositional: false, command: 'image' });
  if (args.flags.get('help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const [least, most, what] = command.takes;
  if (args.positionals.length < least || args.positionals.length > most) throw new VmmError('USAGE', `image ${name} takes ${what}`, { hint: 'see `vmm image --help`' });
  await command.run(new ImageStore(undefined, hostFs), args.positionals, args);
  return 0;
}

async function importOne(store: ImageStore, [image = '', ...given]: readonly string[], args: ParsedArgs): Promise<void> {
  // Before the work, not after it.
  for (const name of given) if (!isImageName(name)) throw new VmmError('USAGE', `${JSON.stringify(name.slice(0, 300))} is not an image name`, { hint: 'for example debian:12' });
  const quiet = args.flags.get('quiet') ?? false;
  const note = (text: string): void => {
    if (!quiet) process.stderr.write(`vmm: ${oneLine(text)}\n`);
  };
  const { record, names } = await importImage(image, { store, host: hostFs, note }, given);
  process.stdout.write(`${[record.id, ...names].join(' ')}\n`);
}

function inspect(store: ImageStore, [name = '']: readonly string[]): void {
  const record = store.find(name);
  if (record === undefined) throw store.notFound(name, 'see `vmm image ls`');
  process.stdout.write(`${JSON.stringify({ ...record, path: store.rootfsPath(record.rootfs) }, null, 2)}\n`);
}

async function remove(store: ImageStore, names: readonly string[]): Promise<void> {
  for (const name of names) for (const gone of await removeImage(store, name)) process.stdout.write(`removed ${gone}\n`);
}

function list(store: ImageStore, quiet: boolean): void {
  const rows = quiet ? [] : [['NAME', 'ID', 'SIZE', 'LAST USED', 'SOURCE']];
  for (const { record, names, lastUsed } of store.list()) {
    const id = record.id.replace(/^sha\d+:/, '').slice(0, 12);
    if (quiet) rows.push([id]);
    else for (const name of names.length > 0 ? names : ['<none>']) rows.push([name, id, size(record.size), lastUsed.toISOString().slice(0, 16).replace('T', ' '), oneLine(record.source)]);
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) process.stdout.write(`${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 2))).join('')}\n`);
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
