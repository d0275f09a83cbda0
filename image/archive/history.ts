import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';
import { type KeptManifest, keptManifest, readBlob } from '../store/blobs.ts';
import type { ImageRecord } from '../store/record.ts';
import type { ImageStore } from '../store/store.ts';

/** A step by which an image was made (OCI image spec, config.md, "history"). */
export interface HistoryStep {
  readonly created: string | undefined;
  readonly by: string;
  readonly comment: string;
  /** Bytes of its layer as it is kept; 0 for a step without one. */
  readonly size: number;
  /** It has no layer. */
  readonly empty: boolean;
}

/** What an image's own documents say beyond its record (OCI image spec, config.md; moby's image specification). Texts are the image's: nothing of them is checked. */
export interface ImageDetails {
  /** Digest and media type of the manifest that is kept. */
  readonly digest: string;
  readonly manifestType: string;
  readonly author: string;
  readonly variant: string;
  readonly dockerVersion: string;
  readonly comment: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly onBuild: readonly string[];
  readonly shell: readonly string[];
  /** `sha256:HEX` of each layer, decompressed, the lowest first. */
  readonly layers: readonly string[];
  /** The last first. */
  readonly history: readonly HistoryStep[];
}

/** Undefined where its configuration was not kept, or has a field of another type than specified. Throws STORE_READ. */
export function imageDetails(store: ImageStore, record: ImageRecord): ImageDetails | undefined {
  const kept = keptManifest(store.paths, record);
  const bytes = kept === undefined ? undefined : readBlob(store.paths, kept.config.digest);
  if (kept === undefined || bytes === undefined) return undefined;
  try {
    return detailsOf(kept, JsonObject.parse(bytes, kept.config.digest));
  } catch (error) {
    if (error instanceof VmmError && error.code === 'IMAGE_BAD') return undefined;
    throw error;
  }
}

function detailsOf(kept: KeptManifest, config: JsonObject): ImageDetails {
  const run = config.object('config');
  const labels = run?.object('Labels');
  return {
    digest: kept.digest,
    manifestType: kept.mediaType,
    author: config.optionalString('author') ?? '',
    variant: config.optionalString('variant') ?? '',
    dockerVersion: config.optionalString('docker_version') ?? '',
    comment: config.optionalString('comment') ?? '',
    labels: Object.fromEntries((run?.keysOf('Labels') ?? []).map((key) => [key, labels?.optionalString(key) ?? ''])),
    onBuild: run?.strings('OnBuild') ?? [],
    shell: run?.strings('Shell') ?? [],
    layers: config.object('rootfs')?.strings('diff_ids') ?? [],
    history: historyOf(config, kept.layers.map(({ size }) => size)),
  };
}

function historyOf(config: JsonObject, sizes: readonly number[]): HistoryStep[] {
  const left = [...sizes];
  const steps = config.objects('history').map((step): HistoryStep => {
    const empty = step.optionalBoolean('empty_layer') === true;
    return {
      created: step.optionalString('created'),
      by: step.optionalString('created_by') ?? '',
      comment: step.optionalString('comment') ?? '',
      size: empty ? 0 : (left.shift() ?? 0),
      empty,
    };
  });
  // Layers that no step tells of.
  for (const size of left) steps.push({ created: undefined, by: '', comment: '', size, empty: false });
  return steps.reverse();
}
