/** App container images (appc): made, checked and changed. Loaded by `vmm aci` alone. */
export { type AciInfo, readAci, readLayout } from '../../image/appc/archive.ts';
export { buildAci } from '../../image/appc/build.ts';
export { convertImage } from '../../image/appc/convert.ts';
export { extractAci, renderDisk } from '../../image/appc/extract.ts';
export { readBounded } from '../../image/appc/file.ts';
export { type Patch, patchManifest, replaceManifest } from '../../image/appc/patch.ts';
export { Context } from '../../image/appc/schema/context.ts';
export { MANIFEST_MAX } from '../../image/appc/schema/fields.ts';
export { parseImageManifest } from '../../image/appc/schema/image-manifest.ts';
export { parsePodManifest } from '../../image/appc/schema/pod-manifest.ts';
export type { Unmade } from '../../image/rootfs/unpack.ts';
