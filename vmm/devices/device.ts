import type { CoreExports } from '../core/exports.ts';
import type { HostHooks } from '../core/hooks.ts';
import type { RingerWork } from '../threads/device-thread.ts';

/** Bytes of the linear memory that the main thread may hand to the core. */
export interface Scratch {
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/** A device's place in one life of its machine. All of it is the main thread's. */
export interface DevicePort {
  readonly core: CoreExports;
  readonly memory: WebAssembly.Memory;
  readonly ramSize: number;
  readonly slot: number;
  readonly scratch: Scratch;
  /** Works on a queue here, a bounded amount at a time so that nothing else starves. */
  process(queue: number): void;
  /**
   * Has a thread of a device's own (DeviceThread) take over all queues of `slots`, from now on and for the rest of this life. False where
   * the accelerator has no threads beside each other: then everything stays as it is. `descriptors`: it waits for descriptors, so that its bell
   * has one, too.
   */
  thread(kind: string, slots: readonly number[], own: unknown, descriptors?: boolean): boolean;
  /** Has the owner of the device's queues look up, where that is a thread of its own. */
  wake(slot: number): void;
  event(kind: number, a: number, b: bigint): void;
}

/**
 * A virtio device as its machine has it in a list: by its place there it gets a slot. It outlives resets of the guest: it is added and
 * attached once in each life, and closed with the machine. Its queues belong to the main thread unless it says otherwise.
 */
export interface HostDevice {
  /** For messages: `disk PATH`. */
  readonly name: string;
  readonly queues: number;
  /** Whoever rings a queue may work on it, with the hooks that this makes: on the software CPU that is the vCPU. */
  readonly ringer?: RingerWork | undefined;
  /** What must come to pass before the machine's first life; rejects with a VmmError. */
  readonly ready?: Promise<void> | undefined;
  /** Puts itself into the empty slot of a new core: 0, or -errno. */
  add(port: DevicePort): number;
  /** What the core asks of the host for this device, on the main thread; all calls for its slot. */
  readonly blk?: HostHooks['blk'];
  readonly net?: HostHooks['net'];
  readonly vsock?: HostHooks['vsock'];
  /** The machine is whole, and its guest is about to run. */
  attach?(port: DevicePort): void;
  /** The driver rang `queue`, or HOST_KICK_DEVICE. Else the main thread works on it at once. */
  kicked?(queue: number): void;
  /** The guest goes on after its devices stood; called only while the main thread owns the queues. Else, but for who says `kicked`, it works on all of them. */
  goesOn?(): void;
  /** The life is over: its port is not to be used any more. */
  detach?(): void;
  /** The machine is over. */
  close?(): void;
}
