/** Changes of the image store; a run of a stored image makes none. */
export { type ImageDetails, imageDetails } from '../../image/archive/history.ts';
export { loadImages } from '../../image/archive/load.ts';
export { saveImages } from '../../image/archive/save.ts';
export { fsckStore } from '../../image/repair.ts';
export { importImage } from '../../image/resolve.ts';
export { spoolInput } from '../../image/sources/input.ts';
export { pruneStore, removeImage, tagImage } from '../../image/store/change.ts';
export type { ImageRecord } from '../../image/store/record.ts';
