/** An image as `docker inspect` shows one (API 1.41), with what is true here; `vmm image inspect` has the store's own record. */
import { hostFs, ImageStore } from '../api/images.ts';

type Row = Readonly<Record<string, unknown>>;

const NANO_MS = 1e6;

/** Undefined: there is none of that name. Throws IMAGE_AMBIGUOUS, STORE_READ. */
export function imageView(text: string): Row | undefined {
  const store = new ImageStore(undefined, hostFs);
  const record = store.find(text);
  if (record === undefined) return undefined;
  const { config } = record;
  const words = (list: readonly string[]): readonly string[] | null => (list.length === 0 ? null : list);
  const set = (list: readonly string[]): Row | null => (list.length === 0 ? null : Object.fromEntries(list.map((each) => [each, {}])));
  const check = config.healthcheck;
  const ms = (value: number | undefined): number => (value ?? 0) * NANO_MS;
  return {
    Id: record.id,
    RepoTags: store.list().find((one) => one.record.id === record.id)?.names ?? [],
    Created: record.created ?? '',
    Os: 'linux',
    Architecture: 'amd64',
    Size: record.size,
    VirtualSize: record.size,
    Config: {
      User: config.user,
      Env: config.env,
      Cmd: words(config.cmd),
      Entrypoint: words(config.entrypoint),
      WorkingDir: config.workingDir,
      Volumes: set(config.volumes),
      ExposedPorts: set(config.exposed ?? []),
      StopSignal: config.stopSignal ?? '',
      ...(check === undefined ? {} : { Healthcheck: { Test: check.test, Interval: ms(check.intervalMs), Timeout: ms(check.timeoutMs), StartPeriod: ms(check.startPeriodMs), Retries: check.retries ?? 0 } }),
    },
    GraphDriver: { Name: 'erofs', Data: { Path: store.rootfsPath(record.rootfs) } },
    Metadata: { Imported: record.imported, Source: record.source },
  };
}
