/** What a connection lies between: who it is, and its socket on the host. */

/** What one read of the host's socket brings at most. */
export const READ_SIZE = 1 << 16;

/** The socket on the host. Bytes are the caller's again after `write`. */
export interface HostEnd {
  /** Bytes that it has taken, and whoever they are for has not. */
  readonly waiting: number;
  write(bytes: Uint8Array): void;
  /** No more bytes come. */
  end(): void;
  /** Reads no more until `resume`. */
  pause(): void;
  /** The other side hears of a reset. */
  reset(): void;
  /** Reads on, after `data` has said no. */
  resume(): void;
}

export interface Tuple {
  readonly remote: Uint8Array;
  readonly remotePort: number;
  readonly guest: Uint8Array;
  readonly guestPort: number;
}

/** DIALING is ours: the guest's SYN has come, and is answered once the host's connection is there. Half-closed states are Sender's and Receiver's. */
export type State = 'DIALING' | 'SYN-SENT' | 'SYN-RECEIVED' | 'ESTABLISHED' | 'TIME-WAIT' | 'CLOSED';
