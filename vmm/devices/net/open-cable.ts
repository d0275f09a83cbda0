import type { NetBackend, NetEvents } from './backend.ts';
import type { Cable } from './table.ts';

/** A cable whose other end is there. */
export interface OpenCable {
  /** NET_* that the other end does for the guest. */
  readonly offloads: number;
  /** What a thread of the cards' own serves; undefined for one that stays on the main thread. */
  readonly cable?: Pick<Cable, 'kind' | 'fd'> | undefined;
  readonly connect?: ((events: NetEvents, mac: Uint8Array) => NetBackend) | undefined;
  /** Resolves once the other end is there, before the machine runs. Rejects as openCable throws. */
  readonly ready?: Promise<void> | undefined;
  close(): void;
}
