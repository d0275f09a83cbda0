/** What the pod's own metadata service tells: the files of the pod's directory. */
import type { AppDocument, PodDocument } from '../../vmm/api/pods.ts';
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
