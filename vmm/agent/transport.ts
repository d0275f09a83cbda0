/**
 * What the session asks of a connection: the host side of the vsock device gives it in `vmm run`,
 * unix sockets in the tests.
 */
export interface Stream {
  /**
   * Sets the one consumer; nothing is delivered before. A chunk is valid until the call returns or
   * its promise settles, and no other is delivered before that: this is the flow control.
   * A consumer never throws.
   */
  onData(consumer: (chunk: Uint8Array) => void | Promise<void>): void;
  /** Adds a callback: the peer has ended its side; all that it sent has been consumed. Called at most once. */
  onEnd(callback: () => void): void;
  /** Adds a callback: the connection is gone, with an error or without. Called exactly once, after `onEnd` if both are. */
  onClose(callback: (error?: Error) => void): void;
  /** Resolves when the peer's credit has taken the bytes, which may be reused then; rejects when closed. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends our side after what has been written. */
  end(): void;
  /** Drops the connection at once. */
  destroy(): void;
}

export interface Listener {
  close(): void;
}

export interface Transport {
  /** Calls back for each connection that the guest makes to this port of the host. */
  listen(port: number, onConnection: (stream: Stream) => void): Listener;
}
