/** Images of all kinds and the store that keeps them. */
export type { ImageProcessConfig } from '../../image/documents/config.ts';
export type { Progress } from '../../image/tree/progress.ts';
export { type PullPolicy, type ResolvedImage, type ResolveOptions, resolveImage } from '../../image/resolve.ts';
export { ImageStore, isImageName } from '../../image/store/store.ts';
export { hostFs } from '../guest/host-fs.ts';
