import { EIO } from '../../../assembly/contract/generated/errno.ts';
import { HOST_NET_OFFLOADS, HOST_NET_RECEIVE_LAST, HOST_NET_SEND } from '../../../assembly/contract/hooks.ts';
import type { NetBackend } from './backend.ts';
import { Frame } from './frames.ts';

/** Answers `host_net` for the cards whose queues one thread works on. */
export class NetServer {
  readonly #frame: Frame;
  readonly #backends: (NetBackend | undefined)[] = [];
  /** What each card's driver takes; a back end that comes later is told, too. */
  readonly #offloads: number[] = [];

  constructor(memory: WebAssembly.Memory, ramSize: number) {
    this.#frame = new Frame(memory, ramSize);
  }

  /** Puts a cable into the card in `slot`, or takes it out. */
  set(slot: number, backend: NetBackend | undefined): void {
    this.#backends[slot]?.close();
    this.#backends[slot] = backend;
    backend?.setOffloads(this.#offloads[slot] ?? 0);
  }

  /** As assembly/core/host.ts says of `host_net`. Without a cable frames go nowhere. */
  request(slot: number, op: number, hdr: number, iov: number, count: number, bytes: number): number {
    const backend = this.#backends[slot];
    if (op === HOST_NET_OFFLOADS) {
      this.#offloads[slot] = bytes;
      backend?.setOffloads(bytes);
      return 0;
    }
    if (backend === undefined) return op === HOST_NET_SEND ? -EIO : 0;
    const frame = this.#frame;
    const refused = frame.set(hdr, iov, count, bytes);
    if (refused < 0) return refused;
    return op === HOST_NET_SEND ? backend.send(frame) : backend.receive(frame, op === HOST_NET_RECEIVE_LAST);
  }
}
