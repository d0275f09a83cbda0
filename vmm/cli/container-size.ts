/** How large a container is, as the host's disk has it: who reads its files has to hold it, and a list must not. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, StateFolder } from '../api/owner.ts';

const BLOCK = 512;

export interface ContainerSizes {
  /** Bytes of the disk of its changes. */
  readonly SizeRw: number;
  /** The same with its image's disk. */
  readonly SizeRootFs: number;
}

export function sizesOf({ record }: Container, state: StateFolder): ContainerSizes {
  const folder = state.folder(record.id);
  const changed = record.disk ? (statSync(join(folder, 'disk'), { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK : 0;
  const image = statSync(join(folder, 'rootfs'), { throwIfNoEntry: false }) ?? statSync(record.rootfs, { throwIfNoEntry: false });
  return { SizeRw: changed, SizeRootFs: changed + (image?.size ?? 0) };
}
