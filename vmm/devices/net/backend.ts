import type { Frame } from './frames.ts';

/**
 * The other end of a card's cable, in whichever thread works on its queues. Both calls come while the core works on the card: they must
 * not block, and nothing in them may call the core; what happens at other times is told by `NetEvents`.
 */
export interface NetBackend {
  /**
   * Takes a frame of the guest's: its bytes; -EAGAIN when there is no room, and `writable` is called once there is; another -errno: it is
   * lost. The frame's memory is the guest's again afterwards.
   */
  send(frame: Frame): number;
  /**
   * Puts its next frame into `frame`: its bytes; 0 for none, and `readable` is called when one has come; -ENOBUFS when it is longer than
   * `frame.bytes`: it is kept, and asked for again when there is more room. `last`: there will not be, so it is lost.
   */
  receive(frame: Frame, last: boolean): number;
  /** What the driver lets it leave undone in frames to the guest: NET_*, of what it offered. */
  setOffloads(offloads: number): void;
  close(): void;
}

/** What a back end tells, never from inside a call of its own. */
export interface NetEvents {
  readable(): void;
  writable(): void;
  /** The other end is gone for good: errno, 0 where it was closed, EBADMSG where what it sent makes no sense. */
  lost(errno: number): void;
}
