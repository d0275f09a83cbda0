import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { VmmError } from '../base/errors.ts';
import type { ImageHealthcheck, ImageProcessConfig } from './documents/config.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from './documents/descriptor.ts';
import { ErofsImage } from './erofs/reader.ts';
import { treeFromErofs } from './erofs/tree.ts';
import { blobsOf, type KeptManifest, keptManifest } from './store/blobs.ts';
import { changeStore } from './store/change.ts';
import { Intake } from './store/intake.ts';
import type { ImageRecord } from './store/record.ts';
import type { ImageStore } from './store/store.ts';
import { tarFromTree } from './tar/writer.ts';
import type { DirNode } from './tree/node.ts';

const EPOCH = '1970-01-01T00:00:00Z';

/**
 * An image as registries have it: what was kept when it came; of one that came otherwise (a directory, a tar archive, an ACI, an
 * older store) one layer made of its disk, which is kept from now on. Throws IMAGE_NOT_FOUND where kept layers were lost, STORE_*.
 */
export async function packedImage(store: ImageStore, record: ImageRecord, note?: (text: string) => void): Promise<KeptManifest> {
  const kept = keptManifest(store.paths, record);
  if (kept !== undefined && (await Intake.has(store, [kept.config, ...kept.layers]))) return kept;
  // To hand on something else in its place would be another image.
  if (record.source.startsWith('docker://') || (record.manifest !== undefined && record.packed !== true)) {
    throw new VmmError('IMAGE_NOT_FOUND', `the layers of ${record.source.replace(/^docker:\/\//, '')} are not in the store`, { hint: 'pull or import it again' });
  }
  if (record.manifest === undefined) note?.('the image came without layers of its own: it is handed on as one layer');
  return squash(store, record);
}

async function squash(store: ImageStore, record: ImageRecord): Promise<KeptManifest> {
  const file = await changeStore(store, (change) => change.temporary());
  const image = new ErofsImage(store.rootfsPath(record.rootfs));
  try {
    const { diffId, digest, size } = await writeLayer(treeFromErofs(image), file.fd);
    const config = Buffer.from(JSON.stringify(configOf(record, diffId)));
    const layer = { mediaType: `${OCI_LAYER}+gzip`, digest, size };
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length }, layers: [layer] }));
    const packed = { ...record, manifest: digestOf(manifest), packed: true };
    await changeStore(store, (change) => {
      change.addBlob(digest, { name: file.name, folder: 'tmp' });
      change.putBlob(digestOf(config), config);
      change.putBlob(digestOf(manifest), manifest);
      change.put(packed);
    });
    const kept = keptManifest(store.paths, packed);
    if (kept === undefined || blobsOf(store.paths, packed).length < 3) throw new Error('what was packed is not there');
    return kept;
  } finally {
    image.close();
    file.discard();
  }
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A tree as one gzip layer; equal trees give equal layers. */
export async function writeLayer(tree: DirNode, fd: number): Promise<{ diffId: string; digest: string; size: number }> {
  const plain = createHash('sha256');
  const packed = createHash('sha256');
  let size = 0;
  await pipeline(
    function* () {
      for (const chunk of tarFromTree(tree)) {
        plain.update(chunk);
        // The writer uses its buffer again.
        yield Buffer.from(chunk);
      }
    },
    createGzip(),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
        packed.update(chunk);
        size += chunk.length;
      }
    },
  ).catch((cause: unknown) => {
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('IMAGE_WRITE', `cannot write a layer to the store: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'free some space (vmm image prune) or set VMM_STORE' });
  });
  return { diffId: `sha256:${plain.digest('hex')}`, digest: `sha256:${packed.digest('hex')}`, size };
}

/** What a record knows, as an image's configuration (OCI image spec, config.md). */
function configOf({ config, created }: ImageRecord, diffId: string): Record<string, unknown> {
  return {
    created: created ?? EPOCH,
    architecture: 'amd64',
    os: 'linux',
    config: processOf(config),
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: created ?? EPOCH, created_by: 'vmm', comment: 'one layer of the stored disk' }],
  };
}

export function processOf({ entrypoint, cmd, env, workingDir, user, stopSignal, volumes, healthcheck }: ImageProcessConfig): Record<string, unknown> {
  return {
    ...(entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
    ...(cmd.length === 0 ? {} : { Cmd: cmd }),
    ...(env.length === 0 ? {} : { Env: env }),
    ...(workingDir === '' ? {} : { WorkingDir: workingDir }),
    ...(user === '' ? {} : { User: user }),
    ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheckText(healthcheck) }),
    ...(volumes.length === 0 ? {} : { Volumes: Object.fromEntries(volumes.map((path) => [path, {}])) }),
  };
}

function healthcheckText({ test, intervalMs, timeoutMs, startPeriodMs, startIntervalMs, retries }: ImageHealthcheck): Record<string, unknown> {
  const times = { Interval: intervalMs, Timeout: timeoutMs, StartPeriod: startPeriodMs, StartInterval: startIntervalMs };
  const given = Object.entries(times).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, ms * 1e6] as const]));
  return { Test: test, ...Object.fromEntries(given), ...(retries === undefined ? {} : { Retries: retries }) };
}
