import type { ImageProcessConfig, Isolation } from '../documents/config.ts';
import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';

/** Of what is written now; older ones are read. */
export const RECORD_VERSION = 3;

/** What the store knows of one image; `images/HEX.json`. */
export interface ImageRecord {
  /** 1: its configuration has no volumes yet, whatever the image says; before 3: an ACI's manifest and isolators are missing. */
  readonly version: 1 | 2 | typeof RECORD_VERSION;
  /** `sha256:HEX` or `sha512:HEX`. */
  readonly id: string;
  /** File name of its disk in rootfs/, without `.erofs`. */
  readonly rootfs: string;
  /** Bytes of the disk. */
  readonly size: number;
  readonly config: ImageProcessConfig;
  readonly created: string | undefined;
  /** Digest of the manifest that was kept with its blobs (blobs.ts), if any was. */
  readonly manifest?: string | undefined;
  /** The manifest was made of the disk, and can be made again. */
  readonly packed?: boolean | undefined;
  /** ISO 8601. */
  readonly imported: string;
  /** What it was imported from, as the user wrote it. */
  readonly source: string;
  /** An ACI's manifest, as it stands in it. */
  readonly aciManifest?: string;
  /** Fingerprint of the OpenPGP key whose signature of it was verified when it came. */
  readonly signedBy?: string;
}

const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Reads a record; throws IMAGE_BAD when the file is damaged. */
export function parseRecord(bytes: Uint8Array, where: string): ImageRecord {
  const record = JsonObject.parse(bytes, where);
  const config = record.object('config');
  const id = record.string('id');
  const rootfs = record.string('rootfs');
  if (!DIGEST.test(id) || !/^[0-9a-f]{64}$/.test(rootfs)) throw new VmmError('IMAGE_BAD', `${where} names no image`, { hint: 'import it again' });
  const manifest = record.optionalString('manifest');
  if (manifest !== undefined && !DIGEST.test(manifest)) throw new VmmError('IMAGE_BAD', `${where} names no manifest`, { hint: 'import it again' });
  const version = record.optionalNumber('version');
  const isolation = config?.object('isolation');
  const aciManifest = record.optionalString('aciManifest');
  const signedBy = record.optionalString('signedBy');
  return {
    version: version === 1 || version === 2 ? version : RECORD_VERSION,
    id,
    rootfs,
    size: record.optionalNumber('size') ?? 0,
    config: {
      entrypoint: config?.strings('entrypoint') ?? [],
      cmd: config?.strings('cmd') ?? [],
      env: config?.strings('env') ?? [],
      workingDir: config?.optionalString('workingDir') ?? '',
      user: config?.optionalString('user') ?? '',
      stopSignal: config?.optionalString('stopSignal'),
      volumes: config?.strings('volumes') ?? [],
      ...(config?.has('exposed') === true ? { exposed: config.strings('exposed') } : {}),
      ...healthcheckOf(config?.object('healthcheck')),
      ...(isolation === undefined ? {} : { isolation: parseIsolation(isolation) }),
    },
    created: record.optionalString('created'),
    ...(manifest === undefined ? {} : { manifest, packed: record.optionalBoolean('packed') ?? false }),
    imported: record.string('imported'),
    source: record.string('source'),
    ...(aciManifest === undefined ? {} : { aciManifest }),
    ...(signedBy === undefined ? {} : { signedBy }),
  };
}

function healthcheckOf(fields: JsonObject | undefined): Pick<ImageProcessConfig, 'healthcheck'> {
  if (fields === undefined) return {};
  const numbers = ['intervalMs', 'timeoutMs', 'startPeriodMs', 'startIntervalMs', 'retries'].map((name) => [name, fields.optionalNumber(name)] as const);
  return { healthcheck: { test: fields.strings('test'), ...Object.fromEntries(numbers.filter(([, value]) => value !== undefined)) } };
}

function parseIsolation(fields: JsonObject): Isolation {
  const found = {
    ...(fields.has('retain') ? { retain: fields.strings('retain') } : {}),
    ...(fields.has('remove') ? { remove: fields.strings('remove') } : {}),
    noNewPrivileges: fields.optionalBoolean('noNewPrivileges'),
    seccomp: fields.optionalString('seccomp'),
    memory: fields.optionalNumber('memory'),
    cpuMillis: fields.optionalNumber('cpuMillis'),
    cpuShares: fields.optionalNumber('cpuShares'),
    oomScoreAdj: fields.optionalInteger('oomScoreAdj'),
    ...(fields.has('groups') ? { groups: fields.strings('groups') } : {}),
    ...(fields.has('ignored') ? { ignored: fields.strings('ignored') } : {}),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Isolation;
}
