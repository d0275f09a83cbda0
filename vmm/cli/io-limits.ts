/** Limits of what a container reads and writes: Docker's `--device-{read,write}-{bps,iops}` (opts/throttledevice.go) and `--mount-limit`. */
import { VmmError } from '../api/errors.ts';
import type { DiskRate, Rate } from '../api/machine.ts';
import type { Read } from './options.ts';
import { parseLimit, parseSize } from './sizes.ts';

/** A container's disks as its guest names them: the image, and what is changed. */
type DiskLimits = { readonly image?: DiskRate | undefined; readonly changes?: DiskRate | undefined };

/** One option's: `/dev/vda` or `/dev/vdb`, and so much a second. */
interface DeviceLimit {
  readonly disk: keyof DiskLimits;
  readonly perSecond: number;
}

const DISKS: Readonly<Record<string, keyof DiskLimits>> = { '/dev/vda': 'image', '/dev/vdb': 'changes' };
const HINT = '/dev/vda is the disk of the image, /dev/vdb that of the changes; for mounts see --mount-limit';

/** Reads `PATH:RATE`: bytes with Docker's units, or operations. */
export function deviceLimit(way: 'read' | 'write', unit: 'bytes' | 'operations'): Read<DeviceLimit> {
  return (text, option) => {
    const bad = (what: string, hint = HINT): VmmError => new VmmError('USAGE', `${option}: ${what}`, { hint });
    const colon = text.indexOf(':');
    const [path, rate] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
    if (path === '') throw bad(`bad format: ${text}`, `write for example ${option} /dev/vdb:${unit === 'bytes' ? '10mb' : '100'}`);
    if (!path.startsWith('/dev/')) throw bad(`bad format for device path: ${text}`);
    const disk = Object.hasOwn(DISKS, path) ? DISKS[path] : undefined;
    if (disk === undefined) throw bad(`${path} is not a disk of the guest: it has devices of its own`);
    if (disk === 'image' && way === 'write') throw bad('/dev/vda is the image, which nobody writes to', 'changes go to /dev/vdb');
    const known = unit === 'bytes' ? /^\d+(\.\d+)?\s*([kmgt]i?)?b?$/i.test(rate) : /^\d{1,9}$/.test(rate);
    const perSecond = !known ? 0 : unit === 'bytes' ? parseSize(rate, option, 'bytes') : Number(rate);
    if (perSecond < 1 || perSecond > 1e12) {
      throw bad(`invalid rate for device: ${text}`, unit === 'bytes' ? 'DEVICE:NUMBER[UNIT]: a positive number; kb, mb or gb' : 'DEVICE:NUMBER: a positive whole number');
    }
    return { disk, perSecond };
  };
}

/** What the options say together; of two for one thing the last counts, as in Docker. Undefined: nothing. */
export function ioLimits(options: {
  readonly deviceReadBps: readonly DeviceLimit[];
  readonly deviceReadIops: readonly DeviceLimit[];
  readonly deviceWriteBps: readonly DeviceLimit[];
  readonly deviceWriteIops: readonly DeviceLimit[];
  readonly mountLimit: Rate | undefined;
}): { readonly disks: DiskLimits; readonly mounts: Rate | undefined } | undefined {
  const found: Record<string, DiskRate> = {};
  for (const [way, unit, limits] of [['read', 'bytes', options.deviceReadBps], ['read', 'operations', options.deviceReadIops], ['write', 'bytes', options.deviceWriteBps], ['write', 'operations', options.deviceWriteIops]] as const) {
    for (const { disk, perSecond } of limits) found[disk] = { ...found[disk], [way]: { ...found[disk]?.[way], [unit]: { perSecond } } };
  }
  return Object.keys(found).length === 0 && options.mountLimit === undefined ? undefined : { disks: found, mounts: options.mountLimit };
}

/** `bw=SIZE[:BURST]`, `ops=N[:BURST]`, or both with a comma between them. */
export function mountLimit(text: string, option: string): Rate {
  let rate: Rate = {};
  for (const word of text.split(',')) {
    if (!/^(bw|ops)=/.test(word)) throw new VmmError('USAGE', `${option}: ${word} is not a limit`, { hint: 'bw=SIZE[:BURST], ops=N[:BURST], for example bw=10m,ops=1000' });
    rate = parseLimit(rate, word, option);
  }
  return rate;
}
