/** What the I/O thread waits in: io_uring where the kernel has it (Linux 6.1), else epoll and system calls that block. */
import { availableParallelism } from 'node:os';
import { BLK_RESULT_SIZE } from '../../../assembly/contract/devices.ts';
import { SCRATCH_BASE, SCRATCH_STRIDE, VCPU_MAX } from '../../../assembly/core/layout.ts';
import { VmmError } from '../../../base/errors.ts';
import { addressOf } from '../../host/ffi.ts';
import { IoUring } from '../../host/io-uring.ts';
import type { LinearMemory } from '../../host/linear-memory.ts';
import { close, epollCreate, epollCtl, epollWait, eventfdDrain, eventfdSignal } from '../../host/sys.ts';
import { IORING_OP_POLL_ADD, IORING_OP_WRITE, IORING_POLL_ADD_MULTI, IOSQE_CQE_SKIP_SUCCESS } from '../../host/uapi/io_uring.ts';
import { EPOLLIN, EPOLL_CTL_ADD, POLLIN } from '../../host/uapi/linux.ts';
import { HOST_KICK_DEVICE } from '../../../assembly/contract/hooks.ts';
import { RING_REQUESTS, RING_RESERVED, RingDiskServer } from './ring.ts';
import type { DiskServer } from './server.ts';
import type { DiskTable } from './table.ts';

/** The queues of one I/O thread, and what it asks of the core. */
export interface IoQueues {
  /** Block devices: the eventfd that a driver's notification signals, -1 where the bell alone tells. */
  readonly queues: readonly { readonly slot: number; readonly queues: number; readonly fd: number }[];
  /** Signalled for a reset of a device and for the end; -1 where the bell alone tells. */
  readonly commandFd: number;
  stopped(): boolean;
  /** This thread must stand: once no request is in flight it has to call `stand`, which blocks until it may go on, and then to look at all queues. */
  held(): boolean;
  stand(): void;
  /** device_process: true when the queue has more. */
  process(slot: number, queue: number): boolean;
  /** device_quiesce: the queues take no more requests. */
  quiesce(slot: number): void;
  /** device_waiting: the driver has requests that nobody has taken. */
  waiting(slot: number): boolean;
  /** device_polled: this thread looks for requests by itself, or wants to be notified. */
  polled(slot: number, on: boolean): void;
  /** blk_complete_many: true when a queue of the device has more. */
  complete(slot: number, ptr: number, count: number): boolean;
  /** True once after a device was reset, or rung by a bell. */
  takeReset(slot: number): boolean;
  /** Blocks until the bell has rung since the last call. */
  waitRing(): void;
}

/** What vCPUs have said of devices: a reset, or DRIVER_OK, before which a driver's notifications were in vain. All queues are looked at then. */
function resets(io: IoQueues, unfinished: Set<number>): void {
  io.queues.forEach(({ slot }, which) => {
    if (!io.takeReset(slot)) return;
    io.process(slot, HOST_KICK_DEVICE);
    unfinished.add(which);
  });
}

/** True when a queue of device `which` has more. */
function work(io: IoQueues, which: number): boolean {
  const device = io.queues[which];
  if (device === undefined) return false;
  let more = false;
  for (let queue = 0; queue < device.queues; queue++) if (io.process(device.slot, queue)) more = true;
  return more;
}

function stand(io: IoQueues, unfinished: Set<number>): void {
  io.stand();
  for (const which of io.queues.keys()) unfinished.add(which);
}

const EPOLL_COMMAND = 0xffff_ffff;

/** Without eventfds: every kick is a ring of the bell. */
export function serveByBell(io: IoQueues): void {
  const unfinished = new Set(io.queues.keys());
  while (!io.stopped()) {
    if (io.held()) stand(io, unfinished);
    resets(io, unfinished);
    for (const which of [...unfinished]) if (!work(io, which)) unfinished.delete(which);
    if (unfinished.size === 0) io.waitRing();
  }
}

export function serveByEpoll(io: IoQueues): void {
  const epoll = epollCreate();
  epollCtl(epoll, EPOLL_CTL_ADD, io.commandFd, EPOLLIN, EPOLL_COMMAND);
  for (const [i, queue] of io.queues.entries()) epollCtl(epoll, EPOLL_CTL_ADD, queue.fd, EPOLLIN, i);
  /** Devices with more to do than one call takes: they go round with the others. At first all: the owner before may have left something. */
  const unfinished = new Set(io.queues.keys());
  while (!io.stopped()) {
    if (io.held()) stand(io, unfinished);
    epollWait(epoll, unfinished.size > 0 ? 0 : -1, (which) => {
      if (which === EPOLL_COMMAND) {
        eventfdDrain(io.commandFd);
        resets(io, unfinished);
      } else if (eventfdDrain(io.queues[which]?.fd ?? -1)) unfinished.add(which);
    });
    for (const which of [...unfinished]) if (!work(io, which)) unfinished.delete(which);
  }
  close(epoll);
}

// User data of the ring: requests below RING_REQUESTS, then the eventfds.
const COMMAND = RING_REQUESTS;
const SIGNAL = RING_REQUESTS + 1;
const QUEUE = RING_REQUESTS + 2;
/** Room for all requests, many interrupts, and a poll of each device. */
const ENTRIES = 512;
/** {u32 tag, i32 result} of the requests that end together, in this thread's scratch: an area a device slot. */
export const RESULTS = SCRATCH_BASE + VCPU_MAX * SCRATCH_STRIDE;
export const RESULTS_STRIDE = RING_REQUESTS * BLK_RESULT_SIZE;
const SLOTS = SCRATCH_STRIDE / RESULTS_STRIDE;

/**
 * How long this thread looks for requests and completions before it waits for them, milliseconds. A notification costs the
 * guest an exit and this thread a wake-up, which is more than most requests take.
 */
const POLL_MS = 0.05;
/** Looks between two at the clock. */
const LOOKS = 16;

/**
 * One system call a round: it hands over requests and interrupts of the last round and collects completions. A thread that
 * has found nothing for a while waits in it, for notifications too, which come by polls that stay armed (edge by edge), so
 * that their eventfds are never read. As QEMU's iothreads do, it only looks around where the last wait was so short that
 * looking around would have paid.
 */
export class RingLoop {
  readonly #io: IoQueues;
  readonly #ring: IoUring;
  readonly #server: RingDiskServer;
  readonly #results: Int32Array;
  readonly #counts: Int32Array;
  /** What a signal writes; so large that it is not on V8's heap, where it would move. */
  readonly #one = new BigUint64Array(512).fill(1n);
  readonly #oneAt: number;
  /** Devices to look at before the next wait: at first all, for the owner before may have left something. */
  readonly #unfinished: Set<number>;
  #commanded = false;
  /** The drivers need not notify. */
  #polling = false;
  /** With one processor the driver could not go on while this thread looks whether it has. */
  readonly #mayPoll = availableParallelism() > 1;

  /** Undefined where io_uring is missing, too old, or forbidden. */
  static open(io: IoQueues, linear: LinearMemory, ramSize: number, disks: DiskTable, blocking: DiskServer): RingLoop | undefined {
    let ring: IoUring | undefined;
    try {
      ring = new IoUring(ENTRIES);
      return new RingLoop(ring, io, linear, ramSize, disks, blocking);
    } catch (error) {
      ring?.close();
      if (error instanceof VmmError) return undefined;
      throw error;
    }
  }

  private constructor(ring: IoUring, io: IoQueues, linear: LinearMemory, ramSize: number, disks: DiskTable, blocking: DiskServer) {
    this.#ring = ring;
    this.#io = io;
    this.#unfinished = new Set(io.queues.keys());
    this.#server = new RingDiskServer(ring, linear, ramSize, disks, blocking);
    this.#results = new Int32Array(linear.memory.buffer, RESULTS, (SLOTS * RESULTS_STRIDE) / 4);
    this.#counts = new Int32Array(SLOTS);
    this.#oneAt = Number(addressOf(this.#one));
    this.#watch(io.commandFd, COMMAND);
    io.queues.forEach(({ fd }, i) => this.#watch(fd, QUEUE + i));
    // A kernel that refuses one of them says so at once.
    ring.enter(0, (userData, result) => {
      if (result < 0) throw new VmmError('HOST_CALL', `io_uring refuses a poll: errno ${-result}`);
      this.#onDone(userData, result, true);
    });
  }

  /** host_blk. */
  request(disk: number, op: number, offset: number, iov: number, count: number, tag: number): number {
    return this.#server.request(disk, op, offset, iov, count, tag);
  }

  /** Adds 1 to an eventfd (an interrupt) with the next system call of the loop. */
  signal(fd: number): void {
    if (this.#ring.room <= RING_RESERVED) eventfdSignal(fd);
    else this.#ring.push({ opcode: IORING_OP_WRITE, flags: IOSQE_CQE_SKIP_SUCCESS, fd, userData: SIGNAL, addr: this.#oneAt, len: 8 });
  }

  /** Serves until the end is asked for, and then until the kernel has no request any more: it writes guest memory. */
  run(): void {
    try {
      while (!this.#io.stopped()) {
        if (this.#io.held()) this.#stand();
        if (this.#ring.pending || this.#ring.ready || this.#unfinished.size > 0) this.#round(0);
        else if (!this.#polling) this.#wait();
        else if (!this.#found()) this.#poll(false);
        if (this.#commanded) {
          this.#commanded = false;
          resets(this.#io, this.#unfinished);
        }
        for (const which of this.#unfinished) if (!work(this.#io, which)) this.#unfinished.delete(which);
      }
    } finally {
      for (const { slot } of this.#io.queues) {
        this.#io.quiesce(slot);
        this.#io.polled(slot, false);
      }
      while (this.#server.inflight > 0) this.#round(1);
      this.#ring.close();
    }
  }

  /** The devices take nothing (device_quiesce) meanwhile. */
  #stand(): void {
    while (this.#server.inflight > 0) this.#round(1);
    // Interrupts of the last ones.
    while (this.#ring.pending) this.#round(0);
    stand(this.#io, this.#unfinished);
  }

  /** Waits for a notification or a completion. */
  #wait(): void {
    const start = performance.now();
    this.#round(1);
    if (this.#mayPoll && performance.now() - start < POLL_MS) this.#poll(true);
  }

  /** Looks around for POLL_MS. True when there is something to do. */
  #found(): boolean {
    const { queues } = this.#io;
    const end = performance.now() + POLL_MS;
    do {
      for (let turn = 0; turn < LOOKS; turn++) {
        for (let which = 0; which < queues.length; which++) if (this.#io.waiting((queues[which] as { slot: number }).slot)) this.#unfinished.add(which);
        if (this.#unfinished.size > 0 || this.#ring.ready) return true;
      }
    } while (performance.now() < end);
    return false;
  }

  #poll(on: boolean): void {
    this.#polling = on;
    this.#io.queues.forEach(({ slot }, which) => {
      this.#io.polled(slot, on);
      // Processing them asks for notifications again, and takes what came before that.
      if (!on) this.#unfinished.add(which);
    });
  }

  #round(wait: number): void {
    this.#ring.enter(wait, this.#onDone);
    const { queues } = this.#io;
    for (let which = 0; which < queues.length; which++) {
      const { slot } = queues[which] as { slot: number };
      const count = this.#counts[slot] as number;
      if (count === 0) continue;
      this.#counts[slot] = 0;
      if (this.#io.complete(slot, RESULTS + slot * RESULTS_STRIDE, count)) this.#unfinished.add(which);
    }
  }

  readonly #onDone = (userData: number, result: number, more: boolean): void => {
    if (userData < RING_REQUESTS) {
      const ended = this.#server.completed(userData, result);
      const n = this.#counts[ended.disk] as number;
      const at = (ended.disk * RESULTS_STRIDE) / 4 + 2 * n;
      this.#results[at] = ended.tag;
      this.#results[at + 1] = ended.result;
      this.#counts[ended.disk] = n + 1;
    } else if (userData === COMMAND) {
      this.#commanded = true;
      if (!more) this.#watch(this.#io.commandFd, COMMAND);
    } else if (userData >= QUEUE) {
      const which = userData - QUEUE;
      this.#unfinished.add(which);
      if (!more) this.#watch((this.#io.queues[which] as { fd: number }).fd, userData);
    }
  };

  #watch(fd: number, userData: number): void {
    this.#ring.push({ opcode: IORING_OP_POLL_ADD, fd, userData, opFlags: POLLIN, len: IORING_POLL_ADD_MULTI });
  }
}
