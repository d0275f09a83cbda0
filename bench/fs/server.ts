import type { Ring } from './ring.ts';

/** A virtio-fs device, whoever serves it. */
export interface FsServer {
  readonly memory: WebAssembly.Memory;
  /** Its queue for requests. */
  readonly ring: Ring;
  /** /proc/…/stat of the thread or the process that serves. */
  readonly stat: string;
  close(): Promise<void>;
}
