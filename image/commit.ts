/** An image made of what a container has changed: a layer over its image's, as docker commit makes it. */
import type { ImageProcessConfig } from './documents/config.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from './documents/descriptor.ts';
import { writeErofsTo } from './erofs/writer.ts';
import type { KeptFiles } from './overlay/kept.ts';
import { digestOf, processOf, writeLayer } from './pack.ts';
import { chainIdOf } from './rootfs/build.ts';
import { type KeptManifest, keptManifest, readBlob } from './store/blobs.ts';
import { changeStore } from './store/change.ts';
import { Intake } from './store/intake.ts';
import { type ImageRecord, RECORD_VERSION } from './store/record.ts';
import { type ImageStore, normalName } from './store/store.ts';

export interface CommitJob {
  readonly files: KeptFiles;
  /** The image that the container was made of. */
  readonly base: string;
  /** How the new one runs. */
  readonly config: ImageProcessConfig;
  /** Fields of the configuration's `config` that no run heeds, added to those of the image. */
  readonly also: Readonly<Record<'Labels' | 'ExposedPorts', Readonly<Record<string, unknown>> | undefined>>;
  readonly name: string | undefined;
  readonly author: string;
  readonly comment: string;
  /** For messages: what it came from. */
  readonly source: string;
}

interface Base {
  readonly layers: KeptManifest['layers'];
  readonly diffIds: readonly string[];
  readonly history: readonly unknown[];
  readonly config: Readonly<Record<string, unknown>>;
}

/** Throws IMAGE_*, STORE_*. */
export async function commitImage(store: ImageStore, job: CommitJob): Promise<ImageRecord> {
  const base = await baseOf(store, job.base);
  const layer = await changeStore(store, (change) => change.temporary());
  const disk = await changeStore(store, (change) => change.temporary());
  try {
    const written = await writeLayer(base === undefined ? job.files.merged : job.files.layer, layer.fd);
    const diffIds = [...(base?.diffIds ?? []), written.diffId];
    const key = chainIdOf(diffIds).replace(/^sha256:/, '');
    const { size } = writeErofsTo(job.files.merged, disk.fd, store.rootfsPath(key), { contentKey: key, hash: false });
    const created = new Date().toISOString();
    const config = Buffer.from(JSON.stringify(document(job, base, diffIds, created)));
    const manifest = Buffer.from(JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
      layers: [...(base?.layers ?? []), { mediaType: `${OCI_LAYER}+gzip`, digest: written.digest, size: written.size }],
    }));
    const record: ImageRecord = { version: RECORD_VERSION, id: digestOf(config), rootfs: key, size, config: job.config, created, manifest: digestOf(manifest), imported: created, source: job.source, ...(base === undefined ? { packed: true } : {}) };
    await changeStore(store, async (change) => {
      change.addBlob(written.digest, { name: layer.name, folder: 'tmp' });
      change.putBlob(digestOf(config), config);
      change.putBlob(digestOf(manifest), manifest);
      await change.addDisk(key, disk);
      change.put(record);
      if (job.name !== undefined) change.setName(normalName(job.name), record.id);
    });
    return record;
  } finally {
    layer.discard();
    disk.discard();
  }
}

/** What the image's layers are, where the store has all of them still; else the new image is one layer. */
async function baseOf(store: ImageStore, id: string): Promise<Base | undefined> {
  const record = store.get(id);
  const kept = record === undefined ? undefined : keptManifest(store.paths, record);
  if (kept === undefined || !(await Intake.has(store, [kept.config, ...kept.layers]))) return undefined;
  const text = readBlob(store.paths, kept.config.digest)?.toString();
  try {
    const config = JSON.parse(text ?? '') as { rootfs?: { diff_ids?: unknown }; history?: unknown; config?: Record<string, unknown> };
    const diffIds = config.rootfs?.diff_ids;
    if (!Array.isArray(diffIds) || diffIds.length !== kept.layers.length || !diffIds.every((diffId) => typeof diffId === 'string' && /^sha256:[0-9a-f]{64}$/.test(diffId))) return undefined;
    return { layers: kept.layers, diffIds: diffIds as string[], history: Array.isArray(config.history) ? config.history : [], config: config.config ?? {} };
  } catch {
    return undefined;
  }
}

/** OCI image spec, config.md. */
function document({ config, also, author, comment, source }: CommitJob, base: Base | undefined, diffIds: readonly string[], created: string): Record<string, unknown> {
  const history = base === undefined ? [] : base.history;
  return {
    created,
    ...(author === '' ? {} : { author }),
    architecture: 'amd64',
    os: 'linux',
    config: { ...kept(base), ...processOf(config), ...added(base, also) },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: [...history, { created, created_by: `vmm commit of ${source}`, ...(author === '' ? {} : { author }), ...(comment === '' ? {} : { comment }) }],
  };
}

/** What the image says of itself beside how it runs. */
function kept(base: Base | undefined): Record<string, unknown> {
  const { OnBuild, Healthcheck, Shell } = base?.config ?? {};
  return Object.fromEntries(Object.entries({ OnBuild, Healthcheck, Shell }).filter(([, value]) => value !== undefined));
}

function added(base: Base | undefined, also: CommitJob['also']): Record<string, unknown> {
  const all = (['Labels', 'ExposedPorts'] as const).map((name) => [name, { ...(base?.config[name] as object | undefined), ...also[name] }] as const);
  return Object.fromEntries(all.filter(([, value]) => Object.keys(value).length > 0));
}
