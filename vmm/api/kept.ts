/** What containers that are kept have changed: read from their disks, without a machine. */
export { commitImage } from '../../image/commit.ts';
export { type KeptFiles, openKept } from '../../image/overlay/kept.ts';
export { tarFromTree } from '../../image/tar/writer.ts';
