import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';

const RECORD_VERSION = 1;
/** Docker's and podman's form; the name is a folder's, so its length is bounded. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const NAME_MAX = 255;

/** What is kept of a volume beside its content; `volume.json`. */
export interface VolumeRecord {
  readonly name: string;
  /** ISO 8601. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Nobody gave it its name. */
  readonly anonymous: boolean;
  /** Most bytes that what is in it may take of the host's file system; no limit of ours when not given. */
  readonly size?: number | undefined;
  /** What a use of it mounts instead of its own directory. */
  readonly device?: VolumeDevice | undefined;
}

/** The options of Docker's local driver that are mount(8)'s: a directory of the host, or memory. */
export interface VolumeDevice {
  readonly type: 'none' | 'bind' | 'tmpfs';
  /** Of `none` and `bind` an absolute path. */
  readonly device: string;
  /** Comma-separated. */
  readonly o: string;
}

const DEVICE_TYPES: ReadonlySet<string> = new Set(['none', 'bind', 'tmpfs']);

/** Throws VOLUME_NAME, with Docker's words, for what cannot be the name of a volume. */
export function checkVolumeName(name: string): string {
  if (NAME.test(name) && name.length <= NAME_MAX) return name;
  const shown = JSON.stringify(name.slice(0, 300));
  if (name.length === 1) throw new VmmError('VOLUME_NAME', `volume name is too short, names should be at least two alphanumeric characters: ${shown}`, { hint: 'for example data' });
  if (name.length > NAME_MAX) throw new VmmError('VOLUME_NAME', `volume name is too long, at most ${NAME_MAX} characters: ${shown}`, { hint: 'for example data' });
  throw new VmmError('VOLUME_NAME', `${shown} includes invalid characters for a volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`, { hint: 'if you meant a directory of the host, use an absolute path' });
}

export function isVolumeName(name: string): boolean {
  return NAME.test(name) && name.length <= NAME_MAX;
}

/** The file's text. */
export function recordText(record: VolumeRecord): string {
  return JSON.stringify({ version: RECORD_VERSION, ...record, anonymous: `${record.anonymous}`, ...(record.size === undefined ? {} : { size: `${record.size}` }) });
}

/** Throws IMAGE_BAD for what is no record of a volume of this name. */
export function parseVolumeRecord(bytes: Uint8Array, name: string): VolumeRecord {
  const where = `the record of the volume ${name}`;
  const record = JsonObject.parse(bytes, where);
  if (record.string('name') !== name) throw new VmmError('IMAGE_BAD', `${where} is that of another one`, { hint: 'nothing was changed' });
  const labels = record.object('labels');
  return {
    name,
    created: record.string('created'),
    labels: Object.fromEntries((labels === undefined ? [] : record.keysOf('labels')).map((key) => [key, labels?.string(key) ?? ''])),
    anonymous: record.optionalString('anonymous') === 'true',
    ...sizeOf(record.optionalString('size'), where),
    ...deviceOf(record.object('device'), where),
  };
}

function deviceOf(given: JsonObject | undefined, where: string): Pick<VolumeRecord, 'device'> {
  if (given === undefined) return {};
  const [type, device, o] = [given.string('type'), given.string('device'), given.string('o')];
  if (!DEVICE_TYPES.has(type) || (type !== 'tmpfs' && !device.startsWith('/'))) throw new VmmError('IMAGE_BAD', `${where} has a device that is none`, { hint: 'nothing was changed' });
  return { device: { type: type as VolumeDevice['type'], device, o } };
}

function sizeOf(text: string | undefined, where: string): Pick<VolumeRecord, 'size'> {
  if (text === undefined) return {};
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new VmmError('IMAGE_BAD', `${where} has a size that is none`, { hint: 'nothing was changed' });
  return { size: Number(text) };
}
