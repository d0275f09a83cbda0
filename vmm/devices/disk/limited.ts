/** The thread of a disk with limits: it takes requests as they come, and works on one after the other when its turn has come. */
import { BLK_RESULT_SIZE } from '../../../assembly/contract/devices.ts';
import { VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN } from '../../../assembly/contract/generated/virtio.ts';
import { HOST_KICK_DEVICE, HOST_PENDING } from '../../../assembly/contract/hooks.ts';
import { HOST_EV_DISK_ERROR } from '../../../assembly/contract/machine.ts';
import type { CoreExports } from '../../core/exports.ts';
import { instantiateCore } from '../../core/instance.ts';
import { traceOf } from '../../core/trace.ts';
import { close, epollCreate, epollCtl, epollWait, eventfdDrain, eventfdSignal } from '../../host/sys.ts';
import { EPOLLIN, EPOLL_CTL_ADD } from '../../host/uapi/linux.ts';
import type { DeviceThread } from '../../threads/device-thread.ts';
import { type EventMessage, SharedWords } from '../../threads/words.ts';
import { hostClocks } from '../../time/clocks.ts';
import { type DiskRate, type Rate, RateLimiter } from '../rate.ts';
import { RESULTS, RESULTS_STRIDE } from './loop.ts';
import { DiskServer } from './server.ts';
import { DiskTable } from './table.ts';

export interface LimitedDiskThread extends DeviceThread {
  readonly own: {
    /** DiskTable.buffer. */
    readonly table: SharedArrayBuffer;
    readonly rate: DiskRate;
  };
}

interface Request {
  readonly op: number;
  readonly offset: number;
  readonly iov: number;
  readonly count: number;
  readonly tag: number;
}

/**
 * Requests of one way, in their order, and the limits that hold them back. Between the ways there is no order: a driver waits for what it
 * builds on, and a flush covers what was answered before it (virtio 1.2 §5.2.6.2).
 */
class Way {
  readonly waiting: Request[] = [];
  readonly #limiters: readonly RateLimiter[];

  constructor(limiters: readonly RateLimiter[]) {
    this.#limiters = limiters;
  }

  /** Milliseconds until its first may go; Infinity: there is none. */
  wait(now: number): number {
    const [first] = this.waiting;
    if (first === undefined) return Number.POSITIVE_INFINITY;
    // A flush moves nothing of its own.
    return first.op === VIRTIO_BLK_T_FLUSH ? 0 : Math.max(0, ...this.#limiters.map((limiter) => limiter.wait(now)));
  }

  took({ op }: Request, bytes: number): void {
    if (op !== VIRTIO_BLK_T_FLUSH) for (const limiter of this.#limiters) limiter.took(bytes);
  }
}

/** The two ways of a disk. */
export class Ways {
  readonly #ways: readonly [read: Way, write: Way];

  constructor({ read, write, ...both }: DiskRate, now: number) {
    const all = new RateLimiter(both, now);
    const way = (own: Rate | undefined): Way => new Way(own === undefined ? [all] : [all, new RateLimiter(own, now)]);
    this.#ways = [way(read), way(write)];
  }

  add(request: Request): void {
    this.#ways[request.op === VIRTIO_BLK_T_IN ? 0 : 1].waiting.push(request);
  }

  get empty(): boolean {
    return this.#ways.every(({ waiting }) => waiting.length === 0);
  }

  /** Milliseconds until one may go; -1: there is none. */
  wait(now: number): number {
    return this.empty ? -1 : Math.min(...this.#ways.map((way) => way.wait(now)));
  }

  /** Works on the one whose turn is first: `work` returns bytes moved, or -errno. */
  serve(now: number, work: (request: Request) => number): void {
    const [read, write] = this.#ways;
    const way = read.wait(now) <= write.wait(now) ? read : write;
    const request = way.waiting.shift();
    if (request !== undefined) way.took(request, Math.max(work(request), 0));
  }
}

/** Serves one disk until it is told to end; what is left then is served at once. */
export function serveLimitedDisk(data: LimitedDiskThread, post: (message: EventMessage) => void): void {
  const { module, memory, ramSize, irqfds } = data;
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const clocks = hostClocks();
  const trace = traceOf(data.trace, 'limited', clocks.now, postEvent);
  const server = new DiskServer(memory, ramSize, new DiskTable(data.own.table), (disk, errno) => postEvent(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
  const ways = new Ways(data.own.rate, performance.now());
  const core = instantiateCore(module, memory, {
    irq: (line) => {
      const fd = irqfds[line] ?? -1;
      if (fd >= 0) eventfdSignal(fd);
    },
    blk: (_disk, op, offset, iov, count, tag) => {
      ways.add({ op, offset, iov, count, tag });
      return HOST_PENDING;
    },
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  }, clocks);
  new LimitedLoop(data, core, server, ways).run();
}

class LimitedLoop {
  readonly #data: LimitedDiskThread;
  readonly #words: SharedWords;
  readonly #core: CoreExports;
  readonly #server: DiskServer;
  readonly #ways: Ways;
  readonly #results: Int32Array;
  readonly #slot: number;
  readonly #epoll: number;
  #heard: number;
  #more = true;

  constructor(data: LimitedDiskThread, core: CoreExports, server: DiskServer, ways: Ways) {
    this.#data = data;
    this.#words = new SharedWords(data.words);
    this.#core = core;
    this.#server = server;
    this.#ways = ways;
    this.#slot = data.queues[0]?.slot ?? 0;
    this.#results = new Int32Array(data.memory.buffer, RESULTS + this.#slot * RESULTS_STRIDE, BLK_RESULT_SIZE / 4);
    this.#heard = this.#words.bell(data.bell);
    this.#epoll = data.commandFd < 0 ? -1 : epollCreate();
    if (this.#epoll >= 0) for (const fd of [data.commandFd, data.queues[0]?.fd ?? -1]) epollCtl(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN, fd);
  }

  run(): void {
    while (!this.#words.ended(this.#data.bell)) {
      if (this.#words.held(this.#data.bell)) this.#stand();
      if (this.#words.takeKicks(this.#slot) < 0) this.#reset();
      if (this.#more) this.#more = this.#core.device_process(this.#slot, 0) > 0;
      const ms = this.#ways.wait(performance.now());
      if (ms === 0) this.#serve();
      else if (!this.#more) this.#wait(ms);
    }
    while (!this.#ways.empty) this.#serve();
    if (this.#epoll >= 0) close(this.#epoll);
  }

  /** What it has taken is in flight: it is served at once, and waited for by what comes next. */
  #stand(): void {
    while (!this.#ways.empty) this.#serve();
    this.#words.stand(this.#data.bell);
    this.#more = true;
  }

  /** The driver reset the device, and waits until nothing of its is in flight; or it has just begun. */
  #reset(): void {
    while (!this.#ways.empty) this.#serve();
    this.#core.device_process(this.#slot, HOST_KICK_DEVICE);
    this.#more = true;
  }

  #serve(): void {
    this.#ways.serve(performance.now(), ({ op, offset, iov, count, tag }) => {
      const result = this.#server.request(this.#slot, op, offset, iov, count);
      this.#results[0] = tag;
      this.#results[1] = result;
      if (this.#core.blk_complete_many(this.#slot, this.#results.byteOffset, 1) > 0) this.#more = true;
      return result;
    });
  }

  /** Until something is rung, `ms` at most; -1: for ever. */
  #wait(ms: number): void {
    if (this.#epoll >= 0) epollWait(this.#epoll, ms, (fd) => void eventfdDrain(fd));
    else {
      this.#words.waitRing(this.#data.bell, this.#heard, ms);
      this.#heard = this.#words.bell(this.#data.bell);
    }
    this.#more = true;
  }
}
