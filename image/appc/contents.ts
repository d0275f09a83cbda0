import { LayerStack } from '../rootfs/layers.ts';
import type { Archive } from '../sources/archive.ts';
import { TarReader } from '../tar/reader.ts';
import { FdSource } from '../tree/content.ts';
import { DEFAULT_LIMITS, type ImportLimits } from '../tree/limits.ts';
import { byteString } from '../tree/names.ts';
import type { DirNode } from '../tree/node.ts';
import { inPlaceSink } from '../tree/spool.ts';
import { chunksOf } from './file.ts';

/** An ACI's own root file system as a tree, its files' bytes by reference to the open archive. Throws IMAGE_*. */
export async function rootfsOf(archive: Archive, limits: ImportLimits = DEFAULT_LIMITS): Promise<DirNode> {
  const stack = new LayerStack(limits);
  const handler = stack.layer(inPlaceSink(new FdSource(archive.fd, archive.name), 0), { whiteouts: false, prefix: byteString('rootfs') });
  const reader = new TarReader(handler, limits);
  for await (const chunk of chunksOf(archive.fd)) reader.push(chunk);
  reader.end();
  handler.finish();
  return stack.root;
}
