import { join } from 'node:path';
import { type Skipped, treeFromDirectory } from '../rootfs/dir.ts';
import type { HostFs } from '../tree/host.ts';
import { type DirNode, walk } from '../tree/node.ts';
import { readLayout } from './archive.ts';
import { type WriteOptions, writeAci } from './write.ts';

export interface BuildOptions extends WriteOptions {
  /** Everything belongs to root, whoever owns it here. */
  readonly ownerRoot: boolean;
  /** Seconds since 1970: no time is later (SOURCE_DATE_EPOCH of reproducible-builds.org). */
  readonly epoch: number | undefined;
  readonly host: HostFs | undefined;
}

export interface Built {
  readonly id: string;
  /** What the specification forbids and the reference's code lets pass. */
  readonly warnings: readonly string[];
  readonly skipped: readonly Skipped[];
}

/** Makes an ACI of a layout, a directory with `manifest` and `rootfs`. The same directory gives the same bytes. Throws ACI_LAYOUT, ACI_MANIFEST, IMAGE_*. */
export async function buildAci(layout: string, out: string, options: BuildOptions): Promise<Built> {
  const { manifestBytes, warnings } = readLayout(layout);
  const { tree, skipped } = treeFromDirectory(join(layout, 'rootfs'), {
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.ownerRoot ? { owner: { uid: 0, gid: 0 } } : {}),
  });
  if (options.epoch !== undefined) clampTimes(tree, options.epoch);
  const id = await writeAci({ manifest: manifestBytes, rootfs: tree }, out, options);
  return { id, warnings, skipped };
}

/** SOURCE_DATE_EPOCH's rule: no time is later. */
export function clampTimes(tree: DirNode, epoch: number): void {
  for (const { node } of walk(tree)) {
    if (node.mtimeSec < epoch) continue;
    node.mtimeSec = epoch;
    node.mtimeNsec = 0;
  }
}
