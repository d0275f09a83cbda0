/** Options of Docker's local volume driver (volume/local/local_unix.go), with its words. */
import { VmmError } from '../api/errors.ts';
import type { VolumeDevice } from '../api/volumes.ts';
import { parseSize } from './sizes.ts';

export type DriverOption = readonly [key: string, value: string];

/** What a volume is made with. */
export interface DriverOptions {
  /** Its quota, bytes. */
  readonly size?: number | undefined;
  /** What it is instead of a directory of the store. */
  readonly device?: VolumeDevice | undefined;
}

const KNOWN: ReadonlySet<string> = new Set(['type', 'o', 'device', 'size']);
/** Those that another one needs. */
const NEEDS: readonly (readonly [key: string, needed: readonly string[]])[] = [['type', ['device']], ['o', ['device', 'type']], ['device', ['type']]];
/** Of mount(8), for a directory that is mounted once more. */
const BIND_WORDS: ReadonlySet<string> = new Set(['bind', 'rbind', 'ro', 'rw', 'private', 'rprivate', 'defaults']);
/** A directory alone takes a block. */
const VOLUME_MIN = 65536;
const VOLUME_MAX = 2 ** 48;

/** Of one key the last value counts. Throws USAGE. */
export function driverOptions(pairs: readonly DriverOption[], option: string): DriverOptions {
  const given = new Map(pairs);
  for (const key of given.keys()) if (!KNOWN.has(key)) throw usage(option, `invalid option: ${JSON.stringify(key)}`, 'size, or type, device and o');
  for (const [key, needed] of NEEDS) {
    const missing = given.has(key) ? needed.find((each) => (given.get(each) ?? '') === '') : undefined;
    if (missing !== undefined) throw usage(option, `missing required option: ${JSON.stringify(missing)}`, 'for example type=none, o=bind, device=/host/dir');
  }
  const size = given.get('size');
  if (!given.has('device')) return size === undefined ? {} : { size: sizeOf(size, option) };
  if (size !== undefined) throw usage(option, 'a volume with a device has no size of ours', 'leave size away; of a tmpfs it is a word of o: o=size=64m');
  return { device: deviceOf(given, option) };
}

function deviceOf(given: ReadonlyMap<string, string>, option: string): VolumeDevice {
  const [type = '', device = '', o = ''] = ['type', 'device', 'o'].map((key) => given.get(key));
  if (type === 'tmpfs') return { type, device, o };
  if (type !== 'none' && type !== 'bind') throw usage(option, `a volume of type ${type} is not supported: vmm mounts nothing on the host`, 'mount it there, and use type=none, o=bind, device=DIR; or -v DIR:/dir');
  const words = o.split(',').filter((word) => word !== '');
  const unknown = words.find((word) => !BIND_WORDS.has(word));
  if (unknown !== undefined) throw usage(option, `o: ${unknown} is not supported`, [...BIND_WORDS].join(', '));
  if (type === 'none' && !words.some((word) => word === 'bind' || word === 'rbind')) throw usage(option, 'type none is for o=bind alone', 'add o=bind');
  if (!device.startsWith('/')) throw usage(option, `the device ${device} is no absolute path`, 'for example device=/host/dir');
  return { type, device, o };
}

function sizeOf(text: string, option: string): number {
  const bytes = parseSize(text, `${option}: size`, 'bytes');
  if (bytes < VOLUME_MIN || bytes > VOLUME_MAX) throw usage(option, `a volume cannot have a size of ${text}`, 'for example size=512m or size=10g');
  return bytes;
}

function usage(option: string, what: string, hint: string): VmmError {
  return new VmmError('USAGE', `${option}: ${what}`, { hint });
}

/** As they are told. */
export function optionsOfVolume({ size, device }: DriverOptions): Readonly<Record<string, string>> {
  return { ...(size === undefined ? {} : { size: `${size}` }), ...(device === undefined ? {} : { device: device.device, o: device.o, type: device.type }) };
}
