import { LinearMemory } from '../../host/linear-memory.ts';
import { eventfdSignal } from '../../host/sys.ts';
import { HOST_EV_DISK_ERROR } from '../../../assembly/contract/machine.ts';
import type { HostHooks } from '../../core/hooks.ts';
import { instantiateCore } from '../../core/instance.ts';
import { traceOf } from '../../core/trace.ts';
import type { DeviceThread } from '../../threads/device-thread.ts';
import { type EventMessage, SharedWords } from '../../threads/words.ts';
import { hostClocks } from '../../time/clocks.ts';
import { type IoQueues, RingLoop, serveByBell, serveByEpoll } from './loop.ts';
import { DiskServer } from './server.ts';
import { DiskTable } from './table.ts';

/** The disks' part of what their thread starts with. */
export interface DiskThread extends DeviceThread {
  readonly own: {
    /** DiskTable.buffer. */
    readonly table: SharedArrayBuffer;
    /** No io_uring: for measurements, and where it makes trouble. */
    readonly blocking: boolean;
  };
}

/** Serves the block devices of one machine until it is told to end. */
export function serveDisks(data: DiskThread, post: (message: EventMessage) => void): void {
  const { module, memory, ramSize, bell, irqfds, commandFd, queues } = data;
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const words = new SharedWords(data.words);
  const table = new DiskTable(data.own.table);
  const blocking = new DiskServer(memory, ramSize, table, (disk, errno) => postEvent(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
  const clocks = hostClocks();
  const trace = traceOf(data.trace, 'io', clocks.now, postEvent);
  let heard = words.bell(bell);

  const io: IoQueues = {
    queues,
    commandFd,
    stopped: () => words.ended(bell),
    held: () => words.held(bell),
    stand: () => words.stand(bell),
    process: (slot, queue) => core.device_process(slot, queue) > 0,
    quiesce: (slot) => void core.device_quiesce(slot),
    waiting: (slot) => core.device_waiting(slot) !== 0,
    polled: (slot, on) => void core.device_polled(slot, on ? 1 : 0),
    complete: (slot, ptr, count) => core.blk_complete_many(slot, ptr, count) > 0,
    takeReset: (slot) => words.takeKicks(slot) !== 0,
    waitRing: () => {
      words.waitRing(bell, heard);
      heard = words.bell(bell);
    },
  };
  const ring = data.own.blocking || commandFd < 0 ? undefined : RingLoop.open(io, new LinearMemory(memory), ramSize, table, blocking);

  const hooks: Partial<HostHooks> = {
    irq: (line) => {
      const fd = irqfds[line] ?? -1;
      if (fd < 0) return;
      if (ring !== undefined) ring.signal(fd);
      else eventfdSignal(fd);
    },
    kick: (device, queue) => void words.kick(device, queue),
    blk: (disk, op, offset, iov, count, tag) => (ring ?? blocking).request(disk, op, offset, iov, count, tag),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  };
  const core = instantiateCore(module, memory, hooks, clocks);

  if (ring !== undefined) ring.run();
  else if (commandFd >= 0) serveByEpoll(io);
  else serveByBell(io);
}
