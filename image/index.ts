/**
 * From layers, archives or a directory to one read-only EROFS disk.
 *
 * - `buildRootfs` makes the disk of a stack of tar layers;
 * - `treeFromDirectory` and `writeErofs` make it of a host directory;
 * - `TarReader`, `decompress` read archives for the transports (docker-archive, ACI);
 * - `ErofsImage` reads a disk back: /etc/passwd, listings, `inspect`;
 * - `tarFromTree` writes a tree as a tar archive.
 *
 * File names are byte strings everywhere (tree/names.ts): `byteString(text)` makes one.
 * All errors are VmmError with a code that starts with IMAGE_.
 */
export { type BuildOptions, type BuildResult, buildRootfs, chainIdOf, type FileRange, type LayerSource } from './rootfs/build.ts';
export { type Compression, type Decompressed, decompress, recognise } from './compress/compress.ts';
export { type DirectoryOptions, type DirectoryTree, type Skipped, treeFromDirectory } from './rootfs/dir.ts';
export { ErofsImage, type ErofsStat } from './erofs/reader.ts';
export { type ErofsOptions, type ErofsResult, writeErofs } from './erofs/writer.ts';
export { type ImportNotes, type LayerHandler, type LayerOptions, LayerStack } from './rootfs/layers.ts';
export { DEFAULT_LIMITS, type ImportLimits } from './tree/limits.ts';
export type { HostFs, LoadHost } from './tree/host.ts';
export type { Progress, ProgressState } from './tree/progress.ts';
export { type TarEntry, type TarEntryType, type TarHandler, TarReader, type TarSummary } from './tar/reader.ts';
export { tarFromTree } from './tar/writer.ts';
export { contentFromBytes, type FileContent, readContent } from './tree/content.ts';
export { type ByteString, byteString, bytesOf, quoteName } from './tree/names.ts';
export {
  type DeviceNode,
  type DirNode,
  type FileNode,
  makeDir,
  type NodeMeta,
  type NodeType,
  type SpecialNode,
  type SymlinkNode,
  sortedNames,
  type TreeNode,
  walk,
} from './tree/node.ts';
export { splitPath } from './tree/paths.ts';
