import type { LayerSource } from '../build.ts';
import type { ImageProcessConfig } from '../config.ts';

/** An image that was found and understood, before its layers are read. */
export interface ImageSource {
  /** Identity of the image: the digest of its configuration, or of what stands for it. */
  readonly id: string;
  readonly layers: readonly LayerSource[];
  /** Chain ID of the layers when the image tells their diff ids. */
  readonly chainId: string | undefined;
  readonly config: ImageProcessConfig;
  /** Names that the image gives itself. */
  readonly names: readonly string[];
  /** ISO 8601, when known. */
  readonly created: string | undefined;
  /** Frees what reading the layers needs. */
  close(): void;
}
