import { VmmError } from '../../base/errors.ts';
import type { LayerSource } from '../rootfs/build.ts';
import type { PackedImage } from '../documents/descriptor.ts';
import type { ImageProcessConfig } from '../documents/config.ts';
import type { DirNode } from '../tree/node.ts';

/** An image that was found and understood, before its layers are read. */
export interface ImageSource {
  /** Identity of the image: the digest of its configuration, or of what stands for it. */
  readonly id: string;
  readonly layers: readonly LayerSource[];
  /** Chain ID of the layers when the image tells their diff ids; "" without layers. */
  readonly chainId: string | undefined;
  readonly config: ImageProcessConfig;
  /** Names that the image gives itself; not checked. */
  readonly names: readonly string[];
  /** ISO 8601, when known. */
  readonly created: string | undefined;
  /** What the image asks for beyond its layers; then the disk is the image's own, not its layers'. */
  readonly adjust?: (tree: DirNode) => void;
  /** As registries have it, where it came in such a form. */
  readonly packed?: PackedImage;
  /** What the disk is made of, where that is more than the image's id says: as a digest. */
  readonly content?: string;
  /** An ACI's manifest, as it stands in it. */
  readonly aciManifest?: string;
  /** Fingerprint of the key by which an ACI was signed, once that has been verified. */
  readonly signedBy?: string;
  /** User and group as appc names them, which the finished disk turns into numbers: a file's owner, by its path, or digits that may be a name. */
  readonly accounts?: { readonly user: string; readonly group: string };
  /** Frees what reading the layers needs. */
  close(): void | Promise<void>;
}

/** Linux's overlayfs takes 500 layers, Docker 127. */
const MAX_LAYERS = 1024;

/** Layers and diff ids belong together one by one. */
export function checkLayerCount(layers: number, diffIds: number, where: string): void {
  if (layers > MAX_LAYERS) throw new VmmError('IMAGE_LIMIT', `${where}: ${layers} layers, at most ${MAX_LAYERS} are read`, { hint: 'squash the image' });
  if (diffIds !== layers) throw new VmmError('IMAGE_BAD', `${where}: ${layers} layers, but ${diffIds} diff ids`, { hint: 'the image is damaged' });
}
