import type { HostHooks } from '../core/hooks.ts';
import type { MachineThread } from './words.ts';

/**
 * What a thread of a device's own starts with, on whichever accelerator. Its kind (ThreadJob.kind) says what it does; `own` is that
 * kind's. Until it has set out to work it must look at all its queues: the owner before may have left something.
 */
export interface DeviceThread extends MachineThread {
  readonly ramSize: number;
  /** Which of the machine's bells is its (SharedWords). */
  readonly bell: number;
  /** `fd`: the eventfd that a notification signals; -1 where kicks come by the bell. */
  readonly queues: readonly { readonly slot: number; readonly queues: number; readonly fd: number }[];
  /** Eventfd of each interrupt line that has one, else -1; empty where interrupts are raised in the core. */
  readonly irqfds: readonly number[];
  /** Signalled with the bell; -1 where there is none. */
  readonly commandFd: number;
  readonly own: unknown;
}

/** What a thread that rings a queue needs so that it can work on it at once: `kind` names a function of its (RingerHooks). */
export interface RingerWork {
  readonly kind: string;
  /** Structured-cloned to the thread. */
  readonly data: unknown;
}

/** Makes the hooks of a thread that works on the queues it rings, of all kinds of `works`. `onEvent`: HOST_EV_* of theirs. */
export type RingerHooks = (works: readonly RingerWork[], memory: WebAssembly.Memory, ramSize: number, onEvent: (kind: number, a: number, b: bigint) => void) => Partial<HostHooks>;
