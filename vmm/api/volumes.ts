/** Named volumes: directories of the store that outlive containers. */
export { storePaths } from '../../image/store/paths.ts';
export { createVolume, isVolumeUsed, type NewVolume, pruneVolumes, removeVolume } from '../../image/volumes/change.ts';
export { findVolume, listVolumes, noSuchVolume, type StoredVolume } from '../../image/volumes/folder.ts';
export { checkVolumeName, type VolumeDevice, type VolumeRecord } from '../../image/volumes/record.ts';
export { openBelow } from '../../image/volumes/below.ts';
export { type OpenVolume, openVolume, type VolumeUse } from '../../image/volumes/use.ts';
