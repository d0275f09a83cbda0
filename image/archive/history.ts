import { JsonObject } from '../documents/json.ts';
import { keptManifest, readBlob } from '../store/blobs.ts';
import type { ImageRecord } from '../store/record.ts';
import type { ImageStore } from '../store/store.ts';

/** A step by which an image was made (OCI image spec, config.md, "history"). */
export interface HistoryStep {
  readonly created: string | undefined;
  readonly by: string;
  readonly comment: string;
  /** Bytes of its layer as it is kept; 0 for a step without one. */
  readonly size: number;
}

/** The steps of an image, the last first; undefined where its configuration was not kept. */
export function imageHistory(store: ImageStore, record: ImageRecord): HistoryStep[] | undefined {
  const kept = keptManifest(store.paths, record);
  const config = kept === undefined ? undefined : readBlob(store.paths, kept.config.digest);
  if (kept === undefined || config === undefined) return undefined;
  const layers = [...kept.layers];
  const steps = JsonObject.parse(config, kept.config.digest).objects('history').map((step): HistoryStep => ({
    created: step.optionalString('created'),
    by: step.optionalString('created_by') ?? '',
    comment: step.optionalString('comment') ?? '',
    size: step.optionalBoolean('empty_layer') === true ? 0 : (layers.shift()?.size ?? 0),
  }));
  // Layers that no step tells of.
  for (const layer of layers) steps.push({ created: undefined, by: '', comment: '', size: layer.size });
  return steps.reverse();
}
