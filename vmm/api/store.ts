/** Changes of the image store; a run of a stored image makes none. */
export { importImage } from '../../image/resolve.ts';
export { spoolInput } from '../../image/sources/input.ts';
export { pruneStore, removeImage, tagImage } from '../../image/store/change.ts';
export type { ImageRecord } from '../../image/store/record.ts';
