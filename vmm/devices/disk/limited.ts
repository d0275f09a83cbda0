/** The thread of a disk with a limit: it takes requests as they come, and works on one after the other when its turn has come. */
import { BLK_RESULT_SIZE } from '../../../assembly/contract/devices.ts';
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
import { type Rate, RateLimiter } from '../rate.ts';
import { RESULTS, RESULTS_STRIDE } from './loop.ts';
import { DiskServer } from './server.ts';
import { DiskTable } from './table.ts';

export interface LimitedDiskThread extends DeviceThread {
  readonly own: {
    /** DiskTable.buffer. */
    readonly table: SharedArrayBuffer;
    readonly rate: Rate;
  };
}

interface Request {
  readonly op: number;
  readonly offset: number;
  readonly iov: number;
  readonly count: number;
  readonly tag: number;
}

/** Serves one disk until it is told to end; what is left then is served at once. */
export function serveLimitedDisk(data: LimitedDiskThread, post: (message: EventMessage) => void): void {
  const { module, memory, ramSize, irqfds } = data;
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const clocks = hostClocks();
  const trace = traceOf(data.trace, 'limited', clocks.now, postEvent);
  const server = new DiskServer(memory, ramSize, new DiskTable(data.own.table), (disk, errno) => postEvent(HOST_EV_DISK_ERROR, disk, BigInt(errno)));
  const waiting: Request[] = [];
  const core = instantiateCore(module, memory, {
    irq: (line) => {
      const fd = irqfds[line] ?? -1;
      if (fd >= 0) eventfdSignal(fd);
    },
    blk: (_disk, op, offset, iov, count, tag) => {
      waiting.push({ op, offset, iov, count, tag });
      return HOST_PENDING;
    },
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  }, clocks);
  new LimitedLoop(data, core, server, waiting).run();
}

class LimitedLoop {
  readonly #data: LimitedDiskThread;
  readonly #words: SharedWords;
  readonly #core: CoreExports;
  readonly #server: DiskServer;
  readonly #waiting: Request[];
  readonly #limiter: RateLimiter;
  readonly #results: Int32Array;
  readonly #slot: number;
  readonly #epoll: number;
  #heard: number;
  #more = true;

  constructor(data: LimitedDiskThread, core: CoreExports, server: DiskServer, waiting: Request[]) {
    this.#data = data;
    this.#words = new SharedWords(data.words);
    this.#core = core;
    this.#server = server;
    this.#waiting = waiting;
    this.#limiter = new RateLimiter(data.own.rate, performance.now());
    this.#slot = data.queues[0]?.slot ?? 0;
    this.#results = new Int32Array(data.memory.buffer, RESULTS + this.#slot * RESULTS_STRIDE, BLK_RESULT_SIZE / 4);
    this.#heard = this.#words.bell(data.bell);
    this.#epoll = data.commandFd < 0 ? -1 : epollCreate();
    if (this.#epoll >= 0) for (const fd of [data.commandFd, data.queues[0]?.fd ?? -1]) epollCtl(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN, fd);
  }

  run(): void {
    while (!this.#words.ended(this.#data.bell)) {
      if (this.#words.takeKicks(this.#slot) < 0) this.#reset();
      if (this.#more) this.#more = this.#core.device_process(this.#slot, 0) > 0;
      const ms = this.#waiting.length === 0 ? -1 : this.#limiter.wait(performance.now());
      if (ms === 0) this.#serve();
      else if (!this.#more) this.#wait(ms);
    }
    while (this.#waiting.length > 0) this.#serve();
    if (this.#epoll >= 0) close(this.#epoll);
  }

  /** The driver reset the device, and waits until nothing of its is in flight; or it has just begun. */
  #reset(): void {
    while (this.#waiting.length > 0) this.#serve();
    this.#core.device_process(this.#slot, HOST_KICK_DEVICE);
    this.#more = true;
  }

  #serve(): void {
    const { op, offset, iov, count, tag } = this.#waiting.shift() as Request;
    const result = this.#server.request(this.#slot, op, offset, iov, count);
    this.#limiter.took(Math.max(result, 0));
    this.#results[0] = tag;
    this.#results[1] = result;
    if (this.#core.blk_complete_many(this.#slot, this.#results.byteOffset, 1) > 0) this.#more = true;
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
