/** Images of all kinds and the store that keeps them. */
export type { ImageProcessConfig } from '../../image/documents/config.ts';
export { type ResolvedImage, type ResolveOptions, importImage, resolveImage } from '../../image/resolve.ts';
export { pruneStore, removeImage } from '../../image/store/change.ts';
export { ImageStore, isImageName } from '../../image/store/store.ts';
export { hostFs } from '../guest/host-fs.ts';
