import { HOST_KICK_DEVICE } from '../../../assembly/contract/hooks.ts';
import { FS_HIPRIO, FS_QUEUES } from '../../../assembly/contract/fs.ts';
import { HOST_EV_SHARE_UNWATCHED } from '../../../assembly/contract/machine.ts';
import { hasFfi } from '../../host/places.ts';
import { lockOwnThread } from '../../host/lockdown/index.ts';
import { closeFile, ownMask, statx } from '../../host/files.ts';
import { close, epollCreate, epollCtl, epollWait, eventfdDrain, eventfdSignal, gettid } from '../../host/sys.ts';
import { EPOLLET, EPOLLIN, EPOLL_CTL_ADD } from '../../host/uapi/linux.ts';
import { instantiateCore } from '../../core/instance.ts';
import { HeapAtRest } from '../../core/shrink-heap.ts';
import { traceOf } from '../../core/trace.ts';
import type { DeviceThread } from '../../threads/device-thread.ts';
import { type EventMessage, SharedWords } from '../../threads/words.ts';
import { hostClocks } from '../../time/clocks.ts';
import { type Rate, RateLimiter } from '../rate.ts';
import { ChangeBox } from './changes.ts';
import { Heartbeat } from './heartbeat.ts';
import { Mailbox, type ShareCommand, type SharedRoot } from './mailbox.ts';
import { nextChanges } from './raising.ts';
import { Request } from './request.ts';
import { type Descriptors, Session } from './session.ts';
import { Work } from './work.ts';

/** The shares' part of what their thread starts with. */
export interface ShareThread extends DeviceThread {
  readonly own: {
    readonly shares: readonly SharedRoot[];
    /** Where the inodes are: offset and bytes in the linear memory. */
    readonly table: { readonly base: number; readonly size: number };
    readonly descriptors: Descriptors;
    /** Mailbox.buffer. */
    readonly mailbox: SharedArrayBuffer;
    /** ChangeBox.buffer. */
    readonly changes: SharedArrayBuffer;
    /** Heartbeat.buffer. */
    readonly heart: SharedArrayBuffer;
    /** Limits, by the slots of those that have some. */
    readonly rates: readonly { readonly slot: number; readonly rate: Rate }[];
    /** The thread binds itself; `later`: more shares may come from anywhere; `folders`: or from these. */
    readonly lock: { readonly later: boolean; readonly folders: readonly number[] } | undefined;
  };
}

/** Serves the shares of one machine until it is told to end. */
export function serveShares(data: ShareThread, post: (message: EventMessage) => void): void {
  const { lock, shares } = data.own;
  if (!bound) ownMask();
  const thread = new FileThread(data, post);
  if (lock !== undefined && !bound && hasFfi()) lockOwnThread({ roots: lock.later ? undefined : [...shares, ...lock.folders.map((fd) => ({ fd, readOnly: false }))], privileged: process.getuid?.() === 0 });
  bound = lock !== undefined;
  thread.run();
}

/** A machine that is reset has the same thread again. */
let bound = false;

/** Waits for `ms` milliseconds at most (-1: for ever) until something is to be done; false: nothing came. */
interface Wait {
  next(ms: number): boolean;
  close(): void;
}

class FileThread {
  readonly #data: ShareThread;
  readonly #words: SharedWords;
  readonly #mailbox: Mailbox;
  readonly #changes: ChangeBox;
  readonly #session: Session;
  readonly #work: Work;
  readonly #event: (kind: number, a: number, b: bigint) => void;
  /** It was told that not all can be watched. */
  #unwatched = false;
  /** By slot. */
  readonly #limiters: ReadonlyMap<number, RateLimiter>;
  /** Indices of devices that may have requests: at first all, for the owner before may have left something. */
  readonly #unfinished: Set<number>;

  constructor(data: ShareThread, post: (message: EventMessage) => void) {
    this.#data = data;
    this.#words = new SharedWords(data.words);
    this.#mailbox = new Mailbox(data.own.mailbox);
    this.#changes = new ChangeBox(data.own.changes);
    this.#session = new Session(new Request(data.memory, data.ramSize), data.own.table, data.own.descriptors, new Heartbeat(data.own.heart));
    if (hasFfi()) this.#session.heart.setThread(gettid());
    this.#unfinished = new Set(data.queues.keys());
    const clocks = hostClocks();
    const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
    this.#event = postEvent;
    const trace = traceOf(data.trace, 'fs', clocks.now, postEvent);
    const core = instantiateCore(data.module, data.memory, {
      irq: (line) => {
        const fd = data.irqfds[line] ?? -1;
        if (fd >= 0) eventfdSignal(fd);
      },
      kick: (device, queue) => void this.#words.kick(device, queue),
      fs: (_slot, tag) => this.#work.take(tag),
      event: (kind, a, b) => {
        if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
      },
    }, clocks);
    this.#limiters = new Map(data.own.rates.map(({ slot, rate }) => [slot, new RateLimiter(rate, performance.now())]));
    this.#work = new Work(this.#session, core, (slot, bytes) => this.#limiters.get(slot)?.took(bytes));
    for (const root of data.own.shares) this.#add(root);
  }

  run(): void {
    const wait = this.#data.commandFd >= 0 ? this.#byEpoll() : this.#byBell();
    const heap = new HeapAtRest(() => this.#words.rests);
    try {
      while (!this.#words.ended(this.#data.bell)) {
        this.#answer();
        if (this.#words.held(this.#data.bell)) this.#stand();
        this.#serve();
        this.#tell();
        heap.look();
        if (!wait.next(this.#idleMs())) this.#work.ask(true);
      }
    } finally {
      wait.close();
      this.#closeAll();
    }
  }

  #answer(): void {
    this.#mailbox.answer((command) => this.#command(command));
  }

  /** Whoever waits for a lock is not asked meanwhile, and what the host changes is told afterwards; shares come and go. */
  #stand(): void {
    this.#words.stand(this.#data.bell, () => this.#answer());
    for (const which of this.#data.queues.keys()) this.#unfinished.add(which);
  }

  /** Requests that are there, a number of them without a system call to see what else there may be: a queue tells that it is empty only when it is asked again. */
  #serve(): void {
    // What a limit leaves in a queue is asked for each time.
    for (let turn = this.#limiters.size === 0 ? TURNS : 1; turn > 0 && this.#unfinished.size > 0; turn--) {
      for (const which of this.#unfinished) if (!this.#step(which)) this.#unfinished.delete(which);
      this.#work.ask(false);
    }
  }

  /** How long there is nothing to do unless somebody rings; -1: for ever. */
  #idleMs(): number {
    if (this.#limiters.size === 0) return this.#unfinished.size > 0 ? 0 : this.#work.askMs;
    const now = performance.now();
    const held = [...this.#unfinished].map((which) => this.#limiters.get(this.#slot(which))?.wait(now) ?? 0);
    const waits = [...held, this.#work.askMs].filter((ms) => ms >= 0);
    return waits.length === 0 ? -1 : Math.min(...waits);
  }

  #slot(which: number): number {
    return this.#data.queues[which]?.slot ?? -1;
  }

  /** What the host has changed, as soon as the guest has raised what it was told before: so what comes meanwhile collapses. */
  #tell(): void {
    const { watches, raised } = this.#session;
    if (watches !== undefined && watches.refused !== 0 && !this.#unwatched) {
      this.#unwatched = true;
      this.#event(HOST_EV_SHARE_UNWATCHED, watches.slot, BigInt(watches.refused));
    }
    if (watches === undefined || !raised.idle || watches.pending.size === 0) return;
    this.#session.heart.begin();
    while (raised.idle && watches.pending.size > 0) {
      const changes = nextChanges(this.#session, watches.pending);
      if (changes.length > 0) this.#changes.fill(changes);
    }
    this.#session.heart.end();
  }

  // ---- waiting -----------------------------------------------------------------------------------------------------

  #byBell(): Wait {
    let heard = this.#words.bell(this.#data.bell);
    return {
      next: (ms) => {
        const rung = ms === 0 || this.#words.waitRing(this.#data.bell, heard, ms);
        heard = this.#words.bell(this.#data.bell);
        this.#kicked();
        return rung;
      },
      close: () => {},
    };
  }

  #byEpoll(): Wait {
    const { commandFd, queues } = this.#data;
    const epoll = epollCreate();
    epollCtl(epoll, EPOLL_CTL_ADD, commandFd, EPOLLIN, COMMAND);
    // Edge by edge, so that they need not be read: a call less for each request.
    for (const [which, { fd }] of queues.entries()) if (fd >= 0) epollCtl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, which);
    const { watches } = this.#session;
    if (watches !== undefined && watches.fd >= 0) epollCtl(epoll, EPOLL_CTL_ADD, watches.fd, EPOLLIN, CHANGES);
    return {
      next: (ms) => {
        const n = epollWait(epoll, ms, (which) => {
          if (which === COMMAND) {
            eventfdDrain(commandFd);
            this.#kicked();
          } else if (which === CHANGES) watches?.take();
          else this.#unfinished.add(which);
        });
        return ms === 0 || n > 0;
      },
      close: () => close(epoll),
    };
  }

  /** Devices that were rung, or reset. */
  #kicked(): void {
    this.#data.queues.forEach(({ slot }, which) => {
      if (this.#words.takeKicks(slot) === 0) return;
      this.#work.step(slot, HOST_KICK_DEVICE);
      this.#unfinished.add(which);
    });
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  /** Works on one request of each queue, but for those that a limit leaves in the queue; true: there may be more. */
  #step(which: number): boolean {
    const slot = this.#slot(which);
    const held = (this.#limiters.get(slot)?.wait(performance.now()) ?? 0) > 0;
    let more = held;
    for (let queue = 0; queue < FS_QUEUES; queue++) if (!(held && queue !== FS_HIPRIO) && this.#work.step(slot, queue)) more = true;
    return more;
  }

  // ---- shares ------------------------------------------------------------------------------------------------------

  #command(command: ShareCommand): void {
    if (command.kind === 'add') this.#add(command.root);
    else if (command.kind === 'withdraw') this.#withdraw(command.number);
    else {
      this.#session.raised.raiser = command.pid;
      if (command.done) this.#session.raised.done();
    }
  }

  #add(root: SharedRoot): void {
    const { stat, shares } = this.#session;
    const failed = statx(root.fd, 0, stat.address);
    const quota = this.#session.quotaOf(root.quota);
    const share = { ...root, quota, node: 0, mount: failed < 0 ? 0 : stat.mount, dev: failed < 0 ? 0 : stat.dev };
    shares[root.number] = share;
    this.#session.enterRoot(share);
  }

  #withdraw(number: number): void {
    const share = this.#session.shares[number];
    if (share !== undefined) this.#session.withdraw(share);
  }

  #closeAll(): void {
    this.#session.heart.begin();
    this.#session.handles.each(() => true, (handle) => closeFile(this.#session.handles.remove(handle)));
    this.#session.locks.forget(() => true);
    this.#session.paths.closeAll();
    this.#session.watches?.close();
    this.#session.heart.end();
  }
}

/** Turns of requests between two looks at what else there may be. */
const TURNS = 32;
const COMMAND = 0xffff_ffff;
const CHANGES = 0xffff_fffe;
