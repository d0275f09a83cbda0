import { VmmError } from '../../base/errors.ts';
import type { ImageRecord } from '../store/record.ts';
import type { ImageStore } from '../store/store.ts';
import { Context } from './schema/context.ts';
import { type ImageManifest, parseImageManifest } from './schema/image-manifest.ts';
import { labelsMatch, type NameValue } from './schema/labels.ts';

/** An ACI as somebody wants it: what is not said may be anything. */
export interface Wanted {
  readonly name: string;
  readonly labels: readonly NameValue[];
  /** `sha512-HEX`, perhaps cut short as rkt does. */
  readonly imageID?: string | undefined;
}

/** The image of the store that is wanted; of several the one that was imported last. Throws STORE_READ. */
export function storedAci(store: ImageStore, wanted: Wanted): ImageRecord | undefined {
  return store.list().find(({ record }) => {
    const manifest = manifestOf(record);
    return manifest !== undefined && isWanted(wanted, manifest, record.id);
  })?.record;
}

/** `id` as the store has it, `sha512:HEX`. */
export function isWanted({ name, labels, imageID }: Wanted, manifest: ImageManifest, id: string): boolean {
  return manifest.name === name && labelsMatch(labels, manifest.labels) && (imageID === undefined || id.replace(':', '-').startsWith(imageID));
}

/** The manifest of an image that is an ACI. */
export function manifestOf({ aciManifest }: Pick<ImageRecord, 'aciManifest'>): ImageManifest | undefined {
  if (aciManifest === undefined) return undefined;
  try {
    return parseImageManifest(Buffer.from(aciManifest), new Context('', { keepUnknownIsolators: true }));
  } catch (error) {
    if (error instanceof VmmError) return undefined;
    throw error;
  }
}

/** `example.com/app,version=1.0.0`. */
export function textOf({ name, labels, imageID }: Wanted): string {
  return [name, ...labels.map((label) => `${label.name}=${label.value}`), ...(imageID === undefined ? [] : [imageID])].join(',');
}
