import { NET_QUEUES, NET_RXQ, NET_TXQ } from '../../../assembly/contract/devices.ts';
import { HOST_KICK_DEVICE } from '../../../assembly/contract/hooks.ts';
import { HOST_EV_NET_CAPTURE, HOST_EV_NET_LOST } from '../../../assembly/contract/machine.ts';
import { HeapAtRest } from '../../core/shrink-heap.ts';
import type { CoreExports } from '../../core/exports.ts';
import { instantiateCore } from '../../core/instance.ts';
import { traceOf } from '../../core/trace.ts';
import { LinearMemory } from '../../host/linear-memory.ts';
import { close, epollCreate, epollCtl, epollWait, eventfdDrain, eventfdSignal } from '../../host/sys.ts';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../../host/uapi/linux.ts';
import type { DeviceThread } from '../../threads/device-thread.ts';
import { type EventMessage, SharedWords } from '../../threads/words.ts';
import { hostClocks } from '../../time/clocks.ts';
import type { NetBackend } from './backend.ts';
import { CapturedBackend } from './capture.ts';
import { Vectors } from './frames.ts';
import { LimitedBackend } from './limited.ts';
import { PacketBackend } from './packet.ts';
import { NetServer } from './server.ts';
import { StreamBackend } from './stream.ts';
import { CABLE_HEADERS, CABLE_NONE, CABLE_STREAM, type Cable, CableTable } from './table.ts';

/** The cards' part of what their thread starts with. */
export interface NetThread extends DeviceThread {
  readonly own: {
    /** CableTable.buffer. */
    readonly cables: SharedArrayBuffer;
  };
}

// Data of epoll: what is below SLOT_MAX is a card's notification, above it its descriptor.
const COMMAND = 0xffff_ffff;
const DESCRIPTOR = 0x100;

/** Serves the cards of one machine until it is told to end. */
export function serveNet(data: NetThread, post: (message: EventMessage) => void): void {
  const { module, memory, ramSize, irqfds } = data;
  const postEvent = (kind: number, a: number, b: bigint): void => post({ type: 'event', kind, a, b });
  const words = new SharedWords(data.words);
  const clocks = hostClocks();
  const trace = traceOf(data.trace, 'net', clocks.now, postEvent);
  const server = new NetServer(memory, ramSize);
  const core = instantiateCore(module, memory, {
    irq: (line) => {
      const fd = irqfds[line] ?? -1;
      if (fd >= 0) eventfdSignal(fd);
    },
    net: (slot, op, hdr, iov, count, bytes) => server.request(slot, op, hdr, iov, count, bytes),
    event: (kind, a, b) => {
      if (!trace?.event(kind, a, b)) postEvent(kind, a, b);
    },
  }, clocks);
  new NetLoop(data, words, core, server, postEvent).run();
}

interface Card {
  readonly slot: number;
  /** The eventfd of its notifications; -1 where the bell alone tells. */
  readonly kickFd: number;
  version: number;
  fd: number;
  /** Why its cable has no other end any more; told between two calls of the core. */
  lost: number | undefined;
  /** When a limit lets something through again, milliseconds. */
  again: number;
}

/** Waits for notifications and for what cards' descriptors have. */
class NetLoop {
  readonly #data: NetThread;
  readonly #words: SharedWords;
  readonly #core: CoreExports;
  readonly #server: NetServer;
  readonly #event: (kind: number, a: number, b: bigint) => void;
  readonly #table: CableTable;
  readonly #vectors: Vectors;
  readonly #epoll = epollCreate();
  readonly #cards: Card[];
  /** Queues with something to do, slot × NET_QUEUES + queue: they go round with the others. */
  readonly #unfinished = new Set<number>();

  constructor(data: NetThread, words: SharedWords, core: CoreExports, server: NetServer, event: (kind: number, a: number, b: bigint) => void) {
    this.#data = data;
    this.#words = words;
    this.#core = core;
    this.#server = server;
    this.#event = event;
    this.#table = new CableTable(data.own.cables);
    this.#vectors = new Vectors(new LinearMemory(data.memory));
    this.#cards = data.queues.map(({ slot, fd }) => ({ slot, kickFd: fd, version: -1, fd: -1, lost: undefined, again: Number.POSITIVE_INFINITY }));
  }

  run(): void {
    epollCtl(this.#epoll, EPOLL_CTL_ADD, this.#data.commandFd, EPOLLIN, COMMAND);
    for (const { kickFd, slot } of this.#cards) if (kickFd >= 0) epollCtl(this.#epoll, EPOLL_CTL_ADD, kickFd, EPOLLIN, slot);
    // The owner before may have left something.
    this.#command();
    for (const card of this.#cards) this.#all(card);
    const heap = new HeapAtRest(() => this.#words.rests);
    while (!this.#words.ended(this.#data.bell)) {
      if (this.#words.held(this.#data.bell)) {
        this.#words.stand(this.#data.bell, () => this.#plugs());
        for (const card of this.#cards) this.#all(card);
      }
      epollWait(this.#epoll, this.#unfinished.size > 0 ? 0 : this.#limited(), this.#ready);
      for (const which of [...this.#unfinished]) this.#work(which);
      heap.look();
    }
    close(this.#epoll);
  }

  /** Milliseconds until a limit lets something through; -1: none holds anything back. Cards whose time has come are looked at. */
  #limited(): number {
    const next = this.#cards.reduce((least, { again }) => Math.min(least, again), Number.POSITIVE_INFINITY);
    if (next === Number.POSITIVE_INFINITY) return -1;
    const now = performance.now();
    if (next > now) return Math.ceil(next - now);
    for (const card of this.#cards) {
      if (card.again > now) continue;
      card.again = Number.POSITIVE_INFINITY;
      this.#all(card);
    }
    return 0;
  }

  readonly #ready = (data: number, events: number): void => {
    if (data === COMMAND) {
      eventfdDrain(this.#data.commandFd);
      this.#command();
      return;
    }
    const card = this.#cards.find(({ slot }) => slot === data % DESCRIPTOR);
    if (card === undefined) return;
    if (data < DESCRIPTOR) {
      if (eventfdDrain(card.kickFd)) this.#all(card);
      return;
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) !== 0) this.#unfinished.add(card.slot * NET_QUEUES + NET_RXQ);
    if ((events & EPOLLOUT) !== 0) this.#unfinished.add(card.slot * NET_QUEUES + NET_TXQ);
  };

  #all({ slot }: Card): void {
    for (let queue = 0; queue < NET_QUEUES; queue++) this.#unfinished.add(slot * NET_QUEUES + queue);
  }

  /** What vCPUs have rung by the bell: queues, a reset, DRIVER_OK; and what the main thread has changed. */
  #command(): void {
    this.#plugs();
    for (const card of this.#cards) {
      const kicks = this.#words.takeKicks(card.slot);
      if (kicks < 0) this.#core.device_process(card.slot, HOST_KICK_DEVICE);
      if (kicks !== 0) this.#all(card);
    }
  }

  #plugs(): void {
    for (const card of this.#cards) {
      const version = this.#table.version(card.slot);
      if (version !== card.version) this.#plug(card, version);
    }
  }

  #plug(card: Card, version: number): void {
    this.#unplug(card);
    card.version = version;
    const cable = this.#table.get(card.slot);
    this.#table.served(card.slot, version);
    if (cable.kind === CABLE_NONE) return;
    card.fd = cable.fd;
    card.lost = undefined;
    this.#server.set(card.slot, this.#backend(card, cable));
    // Edge by edge: a descriptor that has more than the guest has room for does not wake anybody again.
    epollCtl(this.#epoll, EPOLL_CTL_ADD, cable.fd, EPOLLIN | EPOLLOUT | EPOLLET, DESCRIPTOR + card.slot);
    this.#all(card);
  }

  #unplug(card: Card): void {
    if (card.fd < 0) return;
    epollCtl(this.#epoll, EPOLL_CTL_DEL, card.fd, 0, 0);
    this.#server.set(card.slot, undefined);
    card.fd = -1;
  }

  #backend(card: Card, { kind, fd, capture, rate }: Cable): NetBackend {
    const lost = (errno: number): void => {
      card.lost ??= errno;
    };
    let backend: NetBackend = kind === CABLE_STREAM ? new StreamBackend(fd, this.#vectors, lost) : new PacketBackend(fd, kind === CABLE_HEADERS, this.#vectors, lost);
    if (capture >= 0) backend = new CapturedBackend(backend, capture, (errno) => this.#event(HOST_EV_NET_CAPTURE, card.slot, BigInt(errno)));
    if (rate !== undefined) {
      backend = new LimitedBackend(backend, rate, (ms) => {
        card.again = Math.min(card.again, performance.now() + ms);
      });
    }
    return backend;
  }

  #work(which: number): void {
    const slot = Math.floor(which / NET_QUEUES);
    if (this.#core.device_process(slot, which % NET_QUEUES) <= 0) this.#unfinished.delete(which);
    const card = this.#cards.find((one) => one.slot === slot);
    if (card?.lost === undefined || card.fd < 0) return;
    this.#unplug(card);
    this.#core.net_link(slot, 0);
    this.#event(HOST_EV_NET_LOST, slot, BigInt(card.lost));
  }
}
