import { parentPort, workerData } from 'node:worker_threads';
import type { KvmWorkerMessage } from '../accel/kvm.ts';
import { SharedWords } from '../accel/shared.ts';
import { close, epollCreate, epollCtl, epollWait, eventfdDrain, eventfdSignal } from '../host/sys.ts';
import { EPOLLIN, EPOLL_CTL_ADD } from '../host/uapi/linux.ts';
import { type HostHooks, instantiateCore } from '../machine/core.ts';
import { DiskServer, type OpenDisk } from './disk.ts';

/** What the I/O thread starts with. Descriptors are the process's. */
export interface IoWorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly ramSize: number;
  readonly disks: readonly OpenDisk[];
  readonly words: SharedArrayBuffer;
  /** Word `stopIndex` of it is 1 when this thread must end. */
  readonly stop: SharedArrayBuffer;
  readonly stopIndex: number;
  /** Block devices: the eventfd that a driver's notification signals. */
  readonly queues: readonly { readonly slot: number; readonly queues: number; readonly fd: number }[];
  /** Eventfd of each interrupt line that has one, else -1. */
  readonly irqfds: readonly number[];
  /** Signalled for a reset of a device (SharedWords.takeKicks) and for the end. */
  readonly commandFd: number;
}

const COMMAND = 0xffff_ffff;
/** `queue` of device_process for a reset (assembly/core/host.ts, HOST_KICK_DEVICE). */
const KICK_DEVICE = 0xffff;

const data = workerData as IoWorkerData;
const port = parentPort;
if (port === null) throw new Error('io-worker runs as a worker thread only');
const post = (message: KvmWorkerMessage): void => port.postMessage(message);
const words = new SharedWords(data.words);
const stop = new Int32Array(data.stop);
const server = new DiskServer(data.memory, data.ramSize, data.disks);

const hooks: HostHooks = {
  irq: (line) => {
    const fd = data.irqfds[line];
    if (fd !== undefined && fd >= 0) eventfdSignal(fd);
  },
  kick: (device, queue) => words.kick(device, queue),
  blk: (disk, op, offset, iov, count) => server.request(disk, op, offset, iov, count),
  console: (_device, _ptr, length) => length,
  vsock: () => {},
  event: (kind, a, b) => post({ type: 'event', kind, a, b }),
  discard: () => {},
};
const core = instantiateCore(data.module, data.memory, hooks);

const epoll = epollCreate();
epollCtl(epoll, EPOLL_CTL_ADD, data.commandFd, EPOLLIN, COMMAND);
for (const [i, queue] of data.queues.entries()) epollCtl(epoll, EPOLL_CTL_ADD, queue.fd, EPOLLIN, i);

/** Devices with more to do than one call takes: they go round with the others. */
const unfinished = new Set<number>();

while (Atomics.load(stop, data.stopIndex) === 0) {
  epollWait(epoll, unfinished.size > 0 ? 0 : -1, (which) => {
    if (which === COMMAND) command();
    else if (eventfdDrain(data.queues[which]?.fd ?? -1)) unfinished.add(which);
  });
  for (const which of [...unfinished]) if (!work(which)) unfinished.delete(which);
}
close(epoll);

function command(): void {
  eventfdDrain(data.commandFd);
  for (const { slot } of data.queues) {
    const kicks = words.takeKicks(slot);
    if (kicks !== 0) core.device_process(slot, KICK_DEVICE);
  }
}

/** True when a queue of the device has more. */
function work(which: number): boolean {
  const device = data.queues[which];
  if (device === undefined) return false;
  let more = false;
  for (let queue = 0; queue < device.queues; queue++) if (core.device_process(device.slot, queue) > 0) more = true;
  return more;
}
