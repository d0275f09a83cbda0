/** What the pod's own metadata service tells: the files of the pod's directory. */
import { randomBytes } from 'node:crypto';
import { VmmError } from '../../vmm/api/errors.ts';
import { type AppDocument, metadataKey, type PodDocument } from '../../vmm/api/pods.ts';
import { imageBytes, podBytes } from './pod-files.ts';

interface Manifest {
  readonly annotations?: unknown;
  readonly apps?: readonly { readonly name: string; readonly image: { readonly id: string }; readonly annotations?: unknown }[] | null;
}

/** As they are now: apps come and go in a mutable pod. Throws Failure. */
export function podDocument(uuid: string): PodDocument {
  const manifest = JSON.parse(Buffer.from(podBytes()).toString()) as Manifest;
  const apps = new Map<string, AppDocument>();
  for (const { name, image } of manifest.apps ?? []) apps.set(name, { imageId: image.id, manifest: JSON.parse(Buffer.from(imageBytes(name)).toString()) as AppDocument['manifest'] });
  return { uuid, manifest, apps };
}

/** The host's key; where it cannot be had, one of the pod's own, and a line. */
export function keyOr(say: (text: string) => void): Uint8Array {
  try {
    return metadataKey();
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    say(`metadata service: signatures of this pod are of a key of its own: ${error.message}`);
    return randomBytes(64);
  }
}
