import { posix } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import type { ImageHealthcheck, ImageProcessConfig } from '../documents/config.ts';
import type { JsonObject } from '../documents/json.ts';

/** What an image's configuration says. */
export interface ImageConfig {
  /** `sha256:HEX` of each layer, decompressed; checked in form. */
  readonly diffIds: string[];
  readonly process: ImageProcessConfig;
  /** As the image says it. */
  readonly created: string | undefined;
}

/** The image configuration (OCI image spec, config.md; Docker's is the same in these fields). Throws IMAGE_BAD, IMAGE_PLATFORM, IMAGE_UNSUPPORTED. */
export function readConfig(config: JsonObject, where: string): ImageConfig {
  const os = config.optionalString('os') ?? 'linux';
  const architecture = config.optionalString('architecture') ?? 'amd64';
  if (os !== 'linux' || architecture !== 'amd64') {
    throw new VmmError('IMAGE_PLATFORM', `${where}: made for ${os}/${architecture}`, { hint: 'the machine is linux/amd64' });
  }
  const run = config.object('config');
  return {
    diffIds: (config.object('rootfs')?.strings('diff_ids') ?? []).map((diffId) => checkDiffId(diffId, where)),
    created: config.optionalString('created'),
    process: checkProcess(
      {
        entrypoint: run?.strings('Entrypoint') ?? [],
        cmd: run?.strings('Cmd') ?? [],
        env: run?.strings('Env') ?? [],
        workingDir: run?.optionalString('WorkingDir') ?? '',
        user: run?.optionalString('User') ?? '',
        stopSignal: run?.optionalString('StopSignal') || undefined,
        ...healthcheckOf(run?.object('Healthcheck')),
        volumes: (run?.keysOf('Volumes') ?? []).map((path) => checkVolume(path, where)),
        ...(run?.has('ExposedPorts') === true ? { exposed: run.keysOf('ExposedPorts') } : {}),
      },
      where,
    ),
  };
}

/** Times are nanoseconds there. Numbers that make no sense were not said. */
function healthcheckOf(check: JsonObject | undefined): { healthcheck?: ImageHealthcheck } {
  const test = check?.strings('Test') ?? [];
  if (check === undefined || test.length === 0) return {};
  const ms = (name: string): number | undefined => {
    const value = check.optionalNumber(name);
    return value === undefined || !(value >= 1e6 && value < 2 ** 31 * 1e6) ? undefined : Math.round(value / 1e6);
  };
  const retries = check.optionalNumber('Retries');
  const numbers = { intervalMs: ms('Interval'), timeoutMs: ms('Timeout'), startPeriodMs: ms('StartPeriod'), startIntervalMs: ms('StartInterval'), retries: retries === undefined || !(retries >= 1 && retries < 1e6) ? undefined : Math.floor(retries) };
  return { healthcheck: { test, ...(Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)) as Omit<ImageHealthcheck, 'test'>) } };
}

/** A diff id becomes a chain ID and with that a file name of the store: nothing but a digest may pass. */
function checkDiffId(diffId: string, where: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(diffId)) return diffId;
  if (/^sha512:[0-9a-f]{128}$/.test(diffId)) throw new VmmError('IMAGE_UNSUPPORTED', `${where}: diff ids by sha512`, { hint: 'convert the image with sha256, as every tool does by default' });
  throw new VmmError('IMAGE_BAD', `${where}: ${JSON.stringify(diffId.slice(0, 80))} is not a diff id`, { hint: 'the image is damaged' });
}

/** A volume's path without "." and "..", as Docker cleans it. */
function checkVolume(path: string, where: string): string {
  const clean = posix.normalize(path).replace(/(.)\/$/, '$1');
  if (!clean.startsWith('/') || clean === '/') throw new VmmError('IMAGE_BAD', `${where}: ${JSON.stringify(path.slice(0, 200))} is no place for a volume`, { hint: 'the image is damaged' });
  return clean;
}

/** Strings of a process end at a NUL byte, so none may hold one. */
export function checkProcess(config: ImageProcessConfig, where: string): ImageProcessConfig {
  const all = [...config.entrypoint, ...config.cmd, ...config.env, config.workingDir, config.user, config.stopSignal ?? '', ...config.volumes, ...(config.healthcheck?.test ?? [])];
  if (all.some((text) => text.includes('\0'))) throw new VmmError('IMAGE_BAD', `${where}: a NUL byte in its configuration`, { hint: 'the image is damaged' });
  return config;
}
