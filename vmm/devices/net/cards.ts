import { closeSync } from 'node:fs';
import { NET_LINK_ANNOUNCE, NET_LINK_UP, NET_QUEUES, NET_RXQ, NET_TXQ } from '../../../assembly/contract/devices.ts';
import { VmmError } from '../../../base/errors.ts';
import { randomBytes } from '../../../base/random.ts';
import { HOST_KICK_DEVICE } from '../../../assembly/contract/hooks.ts';
import { HOST_EV_NET_CAPTURE, HOST_EV_NET_LOST } from '../../../assembly/contract/machine.ts';
import type { HostHooks } from '../../core/hooks.ts';
import { threads } from '../../threads/pool.ts';
import type { DevicePort, HostDevice } from '../device.ts';
import type { NetBackend, NetEvents } from './backend.ts';
import { CapturedBackend, openCapture } from './capture.ts';
import { type CardRate, LimitedBackend } from './limited.ts';
import { openCable } from './open.ts';
import type { OpenCable } from './open-cable.ts';
import { NetServer } from './server.ts';
import { type CableSpec, type CardSpec, cableName } from './spec.ts';
import { CABLE_NONE, CableTable } from './table.ts';
import type { NetThread } from './thread.ts';

const MTU = 1500;
/** What a spare card has. */
const NO_CABLE: CableSpec = { kind: 'none' };

/** An address of nobody's: locally administered, unicast. */
function randomMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(6));
  mac[0] = ((mac[0] as number) & 0xfc) | 2;
  return mac;
}

/**
 * The cards of one machine. Those whose cable is a descriptor are served by one thread of their own, which starts once a driver has
 * notified one of them: a card that nobody uses costs nothing. The others are the main thread's.
 */
export class Cards {
  readonly #table = new CableTable();
  readonly #devices: Card[] = [];
  #ports: DevicePort[] = [];
  #moving = false;
  /** A thread serves the cards of this life. */
  #threaded = false;

  /** A card for the machine's list. Throws as openCable. */
  open(spec: CardSpec): HostDevice {
    const capture = spec.capture === undefined ? -1 : openCapture(spec.capture);
    const card = new Card(this, this.#table, spec, openCable(spec.cable), capture);
    this.#devices.push(card);
    return card;
  }

  /** A card without a cable: its link is down until it is plugged in. It offers no offloads, since no cable that may come does them for sure. */
  spare(): HostDevice {
    const card = new Card(this, this.#table, { cable: NO_CABLE }, undefined, -1);
    this.#devices.push(card);
    return card;
  }

  /** Throws NET_CARD for a card that is not there. */
  setLink(index: number, up: boolean): void {
    this.#card(index).setLink(up);
  }

  mac(index: number): Uint8Array {
    return this.#card(index).mac;
  }

  /** Puts a cable into a spare card: its index. Throws as `open`, and NET_CARD when there is none. */
  plug(cable: CableSpec): number {
    const index = this.#devices.findIndex((card) => card.takes(cable));
    if (index < 0) throw new VmmError('NET_CARD', `${cableName(cable)}: the machine has no spare card`, { hint: 'give it more spare cards before it starts' });
    this.#card(index).plug(cable);
    return index;
  }

  /** Resolves once the other end of a card's cable is there. Rejects as `open` throws. */
  async ready(index: number): Promise<void> {
    await this.#card(index).ready;
  }

  /** Takes a card's cable out: when this resolves nobody uses its descriptor any more, and it is closed. The card is a spare one then. */
  async unplug(index: number): Promise<void> {
    await this.#card(index).unplug(this.#threaded);
  }

  #card(index: number): Card {
    const card = this.#devices[index];
    if (card === undefined) throw new VmmError('NET_CARD', `the machine has no card ${index}`, { hint: `it has ${this.#devices.length}, counted from 0` });
    return card;
  }

  attach(port: DevicePort): void {
    this.#ports.push(port);
  }

  detach(): void {
    this.#ports = [];
    this.#moving = false;
    this.#threaded = false;
  }

  /** A driver has notified a card that is a thread's: from now on there is one. */
  async move(): Promise<void> {
    // A spare card alone has nothing to serve, nor perhaps the FFI library.
    if (this.#moving || !this.#devices.some(({ plugged }) => plugged)) return;
    this.#moving = true;
    const ports = this.#ports;
    await threads.ready();
    if (this.#ports !== ports || ports.length === 0) return;
    const own: NetThread['own'] = { cables: this.#table.buffer };
    this.#threaded = this.#ports[0]?.thread('net', ports.map(({ slot }) => slot), own, true) ?? false;
  }
}

class Card implements HostDevice {
  #cable: CableSpec;
  readonly queues = NET_QUEUES;
  readonly #cards: Cards;
  readonly #table: CableTable;
  readonly mac: Uint8Array;
  readonly #mtu: number;
  readonly #capture: number;
  readonly #rate: CardRate | undefined;
  #open: OpenCable | undefined;
  /** The link, as its user wants it. */
  #up: boolean;
  #port: DevicePort | undefined;
  /** The main thread serves it, whatever is plugged in. */
  readonly #main: boolean;
  #server: NetServer | undefined;

  constructor(cards: Cards, table: CableTable, spec: CardSpec, open: OpenCable | undefined, capture: number) {
    this.#capture = capture;
    this.#rate = spec.rate;
    this.#cable = spec.cable;
    this.#up = open !== undefined;
    this.#main = open?.connect !== undefined;
    this.#cards = cards;
    this.#table = table;
    this.mac = spec.mac ?? randomMac();
    this.#mtu = spec.mtu ?? MTU;
    this.#open = open;
    // Whoever runs the machine hears of it.
    open?.ready?.catch(() => {});
  }

  get name(): string {
    return `card ${cableName(this.#cable)}`;
  }

  /** By a descriptor, which is a thread's to serve. */
  get plugged(): boolean {
    return this.#open?.cable !== undefined;
  }

  /** Is it a spare one, and for this: one that the main thread has served takes what it can serve again? */
  takes({ kind }: CableSpec): boolean {
    return this.#open === undefined && this.#main === (kind === 'user' || kind === 'own');
  }

  plug(cable: CableSpec): void {
    const open = openCable(cable);
    const port = this.#port;
    if ((open.connect !== undefined) !== this.#main) {
      open.close();
      throw new VmmError('NET_CARD', `${cableName(cable)}: a spare card takes what a thread can serve: a tap, a descriptor, a socket, with the FFI library`, { hint: 'give the machine this card before it starts' });
    }
    open.ready?.catch(() => {});
    [this.#open, this.#cable] = [open, cable];
    this.#up = true;
    if (port === undefined) return;
    if (open.connect !== undefined) this.#server?.set(port.slot, this.#connect(port, open.connect));
    else if (open.cable !== undefined) this.#table.set(port.slot, { ...open.cable, capture: -1, rate: undefined });
    port.core.net_link(port.slot, NET_LINK_UP | NET_LINK_ANNOUNCE);
    port.wake(port.slot);
  }

  async unplug(threaded: boolean): Promise<void> {
    const [open, port] = [this.#open, this.#port];
    if (open === undefined) throw new VmmError('NET_CARD', `${this.name}: there is no cable that could be taken out`, { hint: 'take out what was plugged in' });
    this.setLink(false);
    this.#open = undefined;
    this.#cable = NO_CABLE;
    if (port !== undefined && this.#main) this.#server?.set(port.slot, undefined);
    else if (port !== undefined) {
      this.#table.set(port.slot, { kind: CABLE_NONE, fd: -1, capture: -1, rate: undefined });
      port.wake(port.slot);
      if (threaded) await this.#table.settled(port.slot);
    }
    open.close();
  }

  get ready(): Promise<void> | undefined {
    return this.#open?.ready;
  }

  add({ core, scratch, slot }: DevicePort): number {
    scratch.bytes.set(this.mac);
    const added = core.net_add(slot, this.#open?.offloads ?? 0, this.#mtu, scratch.offset);
    if (added === 0 && this.#up) core.net_link(slot, NET_LINK_UP);
    return added;
  }

  setLink(up: boolean): void {
    this.#up = up;
    const port = this.#port;
    port?.core.net_link(port.slot, up ? NET_LINK_UP : 0);
    // What has come meanwhile is old, but an edge of the descriptor's that nobody saw would be the last.
    if (up && this.#server === undefined) port?.wake(port.slot);
    else if (up) port?.process(NET_RXQ);
  }

  readonly net: HostHooks['net'] = (slot, op, hdr, iov, count, bytes) => this.#server?.request(slot, op, hdr, iov, count, bytes) ?? 0;

  attach(port: DevicePort): void {
    this.#port = port;
    const open = this.#open;
    if (!this.#main) {
      if (open?.cable !== undefined) this.#table.set(port.slot, { ...open.cable, capture: this.#capture, rate: this.#rate });
      this.#cards.attach(port);
    } else {
      this.#server = new NetServer(port.memory, port.ramSize);
      if (open?.connect !== undefined) this.#server.set(port.slot, this.#connect(port, open.connect));
    }
  }

  /** A back end of this thread's: what it tells is done between two calls of the core. */
  #connect(port: DevicePort, connect: (events: NetEvents, mac: Uint8Array) => NetBackend): NetBackend {
    const mine = (): boolean => this.#port === port;
    const later = (work: () => void): void => void setImmediate(() => mine() && work());
    let backend = connect({
      readable: () => later(() => port.process(NET_RXQ)),
      writable: () => later(() => port.process(NET_TXQ)),
      lost: (errno) => later(() => {
        this.#server?.set(port.slot, undefined);
        port.core.net_link(port.slot, 0);
        port.event(HOST_EV_NET_LOST, port.slot, BigInt(errno));
      }),
    }, this.mac);
    if (this.#capture >= 0) backend = new CapturedBackend(backend, this.#capture, (errno) => port.event(HOST_EV_NET_CAPTURE, port.slot, BigInt(errno)));
    if (this.#rate !== undefined) {
      backend = new LimitedBackend(backend, this.#rate, (ms) => void setTimeout(() => mine() && [NET_RXQ, NET_TXQ].forEach((queue) => port.process(queue)), ms));
    }
    return backend;
  }

  kicked(queue: number): void {
    const port = this.#port;
    if (port === undefined) return;
    if (this.#server === undefined) void this.#cards.move();
    else port.process(queue === HOST_KICK_DEVICE ? NET_RXQ : queue);
  }

  goesOn(): void {
    if (this.#server !== undefined) for (const queue of [NET_RXQ, NET_TXQ]) this.#port?.process(queue);
  }

  detach(): void {
    const port = this.#port;
    this.#port = undefined;
    if (port !== undefined) this.#table.set(port.slot, { kind: CABLE_NONE, fd: -1, capture: -1, rate: undefined });
    this.#cards.detach();
  }

  close(): void {
    this.#open?.close();
    if (this.#open !== undefined && this.#capture >= 0) closeSync(this.#capture);
    this.#open = undefined;
  }
}
