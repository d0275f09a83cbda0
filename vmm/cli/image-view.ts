/** `vmm image inspect`: an image as `docker inspect` shows one (API 1.41), with what is true here, and podman's Digest, ManifestType, Labels and History; the store's own record lies below Record. */
import { hostFs, ImageStore } from '../api/images.ts';
import { type ImageDetails, imageDetails, type ImageRecord } from '../api/store.ts';
import { HELP } from './common-options.ts';
import { createdAt } from './image-filter.ts';
import { inspectEach, type Row } from './inspect-each.ts';
import { value } from './options.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const NANO_MS = 1e6;
const OPTIONS = { format: value('TEMPLATE', 'a Go template, or json', undefined, { short: 'f' }), help: HELP };

export const INSPECT_IMAGE: Subcommand = subcommand({ name: 'image inspect', synopsis: '[OPTIONS] IMAGE…', about: 'Prints what is known of images, as JSON.', options: OPTIONS }, [1, Number.POSITIVE_INFINITY, 'one image or more'], (names, { format }) => {
  const store = new ImageStore(undefined, hostFs);
  return inspectEach(names, format, (text) => {
    const record = store.find(text);
    if (record === undefined) throw store.notFound(text, 'see `vmm image ls`');
    return viewOf(store, record);
  });
});

/** For `vmm inspect`. Undefined: there is none of that name. Throws IMAGE_AMBIGUOUS, STORE_READ. */
export function imageView(text: string): Row | undefined {
  const store = new ImageStore(undefined, hostFs);
  const record = store.find(text);
  return record === undefined ? undefined : viewOf(store, record);
}

function viewOf(store: ImageStore, record: ImageRecord): Row {
  const details = imageDetails(store, record);
  const names = store.list().find((one) => one.record.id === record.id)?.names ?? [];
  const path = store.rootfsPath(record.rootfs);
  return {
    Id: record.id,
    RepoTags: names.filter((name) => !name.includes('@')),
    RepoDigests: [...new Set(names.flatMap((name) => digestedName(store, name)))],
    Parent: '',
    Comment: details?.comment || (details?.history[0]?.comment ?? ''),
    Created: createdAt(record),
    DockerVersion: details?.dockerVersion ?? '',
    Author: details?.author ?? '',
    Config: configOf(record, details),
    Architecture: 'amd64',
    Variant: details?.variant ?? '',
    Os: 'linux',
    Size: record.size,
    VirtualSize: record.size,
    GraphDriver: { Name: 'erofs', Data: { Path: path } },
    RootFS: { Type: 'layers', Layers: details?.layers ?? [] },
    Digest: details?.digest ?? '',
    ManifestType: details?.manifestType ?? '',
    Labels: details?.labels ?? {},
    History: [...(details?.history ?? [])].reverse().map(({ created, by, comment, empty }) => ({ ...(created === undefined ? {} : { created }), created_by: by, ...(comment === '' ? {} : { comment }), ...(empty ? { empty_layer: true } : {}) })),
    Record: { ...record, path },
  };
}

/** `registry/name@DIGEST`, where it was ever pulled or pushed. */
function digestedName(store: ImageStore, name: string): string[] {
  const digest = name.includes('@') ? undefined : store.digestOf(name);
  if (name.includes('@')) return [name];
  return digest === undefined ? [] : [`${name.slice(0, name.lastIndexOf(':'))}@${digest}`];
}

/** What an image does not say is empty, as Docker's templates have it. */
function configOf({ config }: ImageRecord, details: ImageDetails | undefined): Row {
  const words = (list: readonly string[]): readonly string[] | null => (list.length === 0 ? null : list);
  const set = (list: readonly string[]): Row | null => (list.length === 0 ? null : Object.fromEntries(list.map((each) => [each, {}])));
  const check = config.healthcheck;
  const ms = (time: number | undefined): number => (time ?? 0) * NANO_MS;
  const labels = details?.labels ?? {};
  return {
    Hostname: '',
    Domainname: '',
    User: config.user,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ExposedPorts: set(config.exposed ?? []),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: words(config.env),
    Cmd: words(config.cmd),
    ...(check === undefined ? {} : { Healthcheck: { Test: check.test, Interval: ms(check.intervalMs), Timeout: ms(check.timeoutMs), StartPeriod: ms(check.startPeriodMs), Retries: check.retries ?? 0 } }),
    Image: '',
    Volumes: set(config.volumes),
    WorkingDir: config.workingDir,
    Entrypoint: words(config.entrypoint),
    OnBuild: words(details?.onBuild ?? []),
    Labels: Object.keys(labels).length === 0 ? null : labels,
    StopSignal: config.stopSignal ?? '',
    Shell: words(details?.shell ?? []),
  };
}
