/** Guest memory that a device of ours and another's process can both have: a memfd over the place of guest RAM in a linear memory. */
import { RAM_BASE } from '../../assembly/core/layout.ts';
import { LinearMemory } from '../../vmm/host/linear-memory.ts';
import { memfdCreate } from '../../vmm/host/sys.ts';

export const RAM_BYTES = 64 << 20;
/** Behind it: room for the inodes of a device of ours. */
export const TABLE_BYTES = 64 << 20;

export interface BenchMemory {
  readonly memory: WebAssembly.Memory;
  readonly memfd: number;
  /** Of guest RAM, for who is told of regions by addresses. */
  readonly address: bigint;
}

export function benchMemory(): BenchMemory {
  const pages = (RAM_BASE + RAM_BYTES + TABLE_BYTES) / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const linear = new LinearMemory(memory);
  const memfd = memfdCreate('bench-ram', RAM_BYTES);
  linear.mapOver(RAM_BASE, RAM_BYTES, memfd);
  return { memory, memfd, address: linear.hostAddress(RAM_BASE, RAM_BYTES) };
}
