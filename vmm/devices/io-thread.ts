import { HOST_EV_DISK_ERROR } from '../../assembly/contract/machine.ts';
import { type EventMessage, type MachineThread, SharedWords } from '../threads/words.ts';
import { LinearMemory } from '../host/linear-memory.ts';
import { eventfdSignal } from '../host/sys.ts';
import { hostClocks } from '../time/clocks.ts';
import type { HostHooks } from '../core/hooks.ts';
import { instantiateCore } from '../core/instance.ts';
import { traceOf } from '../core/trace.ts';
import { DiskServer, type OpenDisk } from './disk.ts';
import { type IoQueues, RingLoop, serveByEpoll } from './io-loop.ts';

/** What the I/O thread starts with. */
export interface IoJob extends MachineThread {
  readonly ramSize: number;
  readonly disks: readonly OpenDisk[];
  /** Word `stopIndex` of it is 1 when this thread must end. */
  readonly stop: SharedArrayBuffer;
  readonly stopIndex: number;
  /** Block devices: the eventfd that a driver's notification signals. */
  readonly queues: readonly { readonly slot: number; readonly queues: number; readonly fd: number }[];
  /** Eventfd of each interrupt line that has one, else -1. */
  readonly irqfds: readonly number[];
  /** Signalled for a reset of a device (SharedWords.takeKicks) and for the end. */
  readonly commandFd: number;
  /** No io_uring: for measurements, and where it makes trouble. */
  readonly blocking: boolean;
}

/** Serves the block devices of one machine until it is told to end. */
export function serveDisks(data: IoJob, post: (message: EventMessage) => void): void {
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const words = new SharedWords(data.words);
  const stop = new Int32Array(data.stop);
  const blocking = new DiskServer(data.memory, data.ramSize, data.disks, (disk, errno) => postEvent(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
  const clocks = hostClocks();
  const trace = traceOf(data.traceFd, 'io', clocks.now, postEvent);

  const io: IoQueues = {
    queues: data.queues,
    commandFd: data.commandFd,
    stopped: () => Atomics.load(stop, data.stopIndex) !== 0,
    process: (slot, queue) => core.device_process(slot, queue) > 0,
    quiesce: (slot) => void core.device_quiesce(slot),
    waiting: (slot) => core.device_waiting(slot) !== 0,
    polled: (slot, on) => void core.device_polled(slot, on ? 1 : 0),
    complete: (slot, ptr, count) => core.blk_complete_many(slot, ptr, count) > 0,
    takeReset: (slot) => words.takeKicks(slot) !== 0,
  };
  const ring = data.blocking ? undefined : RingLoop.open(io, new LinearMemory(data.memory), data.ramSize, data.disks, blocking);

  const hooks: Partial<HostHooks> = {
    irq: (line) => {
      const fd = data.irqfds[line] ?? -1;
      if (fd < 0) return;
      if (ring !== undefined) ring.signal(fd);
      else eventfdSignal(fd);
    },
    kick: (device, queue) => words.kick(device, queue),
    blk: (disk, op, offset, iov, count, tag) => (ring ?? blocking).request(disk, op, offset, iov, count, tag),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  };
  const core = instantiateCore(data.module, data.memory, hooks, clocks);

  if (ring !== undefined) ring.run();
  else serveByEpoll(io);
}
