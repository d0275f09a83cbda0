import { importImage } from '../../image/resolve.ts';
import { ImageStore } from '../../image/store/store.ts';
import { VmmError } from '../errors.ts';
import { type OptionSpec, parseArgs } from './args.ts';
import { hostFs } from './host-fs.ts';

const HELP = `Usage: vmm image COMMAND

Commands:
  ls                        list the images of the local store
  import IMAGE [NAME]       import an image (path, dir:, oci:, oci-archive:, docker-archive:, aci:) under its own name or NAME
  inspect IMAGE             print what the store knows of an image, as JSON
  rm IMAGE…                 remove names or images
  prune [--all]             remove images without a name (--all: every image) and leavings

The store is $VMM_STORE, else vmm/ below $XDG_DATA_HOME or ~/.local/share.
`;

const ALL: OptionSpec = { name: 'all', short: 'a', kind: 'flag', help: 'every image' };
const QUIET: OptionSpec = { name: 'quiet', short: 'q', kind: 'flag', help: 'ids only' };

/** `vmm image`. */
export async function imageCommand(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  const store = new ImageStore();
  const args = parseArgs(rest, command === 'prune' ? [ALL] : command === 'ls' ? [QUIET] : [], { stopAtPositional: false, command: 'image' });
  const names = args.positionals;
  const need = (least: number, most: number, what: string): void => {
    if (names.length < least || names.length > most) throw new VmmError('USAGE', `image ${command} takes ${what}`, { hint: 'see `vmm image --help`' });
  };
  switch (command) {
    case 'ls':
      need(0, 0, 'no argument');
      list(store, args.flags.get('quiet') ?? false);
      return 0;
    case 'import': {
      need(1, 2, 'an image and perhaps a name');
      const { record, names: given } = await importImage(names[0] as string, { store, host: hostFs }, names.slice(1));
      process.stdout.write(`${record.id}${given.length > 0 ? ` ${given.join(' ')}` : ''}\n`);
      return 0;
    }
    case 'inspect': {
      need(1, 1, 'one image');
      const record = store.find(names[0] as string);
      if (record === undefined) throw new VmmError('IMAGE_NOT_FOUND', `no image ${names[0]} in the store`, { hint: 'see `vmm image ls`' });
      process.stdout.write(`${JSON.stringify({ ...record, path: store.rootfsPath(record.rootfs) }, null, 2)}\n`);
      return 0;
    }
    case 'rm':
      need(1, 1000, 'one image or more');
      for (const name of names) for (const gone of store.remove(name)) process.stdout.write(`removed ${gone}\n`);
      return 0;
    case 'prune':
      need(0, 0, 'no argument');
      process.stdout.write(`freed ${size(store.prune(args.flags.get('all') ?? false))}\n`);
      return 0;
    case '--help':
    case 'help':
      process.stdout.write(HELP);
      return 0;
    default:
      throw new VmmError('USAGE', command === undefined ? 'image needs a command' : `unknown image command ${command}`, { hint: 'ls, import, inspect, rm, prune' });
  }
}

function list(store: ImageStore, quiet: boolean): void {
  const rows = quiet ? [] : [['NAME', 'ID', 'SIZE', 'LAST USED', 'SOURCE']];
  for (const { record, names, lastUsed } of store.list()) {
    const id = record.id.replace(/^sha\d+:/, '').slice(0, 12);
    if (quiet) rows.push([id]);
    else for (const name of names.length > 0 ? names : ['<none>']) rows.push([name, id, size(record.size), lastUsed.toISOString().slice(0, 16).replace('T', ' '), record.source]);
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
