/** What a manifest says of a blob (OCI image spec, descriptor.md). */
export interface Descriptor {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface TypedDescriptor extends Descriptor {
  readonly mediaType: string;
}

/** An image in the form in which registries have it: what a push or an archive hands on. */
export interface PackedImage {
  /** As it came; undefined where the image came without one, and it is made. */
  readonly manifest: Uint8Array | undefined;
  readonly config: Uint8Array;
  /** Lowest first; undefined where they have to be read to tell. */
  readonly layers: readonly TypedDescriptor[] | undefined;
}

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
