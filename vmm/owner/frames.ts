/**
 * What follows a request that goes on: a command's streams, signals and terminal, between a client and the process that owns its container or pod.
 * Frames both ways: u32 length of what follows, little endian; u8 kind; payload. Kinds below 16 come from the client.
 */

/** Client: bytes for standard input; none: its end. */
export const STDIN = 2;
/** Client: u16 rows, u16 columns. */
export const RESIZE = 3;
/** Client: u32 signal. */
export const SIGNAL = 4;
/** Client: it leaves, and what it talked to goes on as it is. */
export const DETACH = 5;
/** Client: SIGKILL, for what it has started, too. */
export const KILL = 6;
/** Client: u32 STDOUT or STDERR, of which it takes no more: the process's next write fails. */
export const CLOSE = 7;
/** Owner: bytes. */
export const STDOUT = 16;
export const STDERR = 17;
/** Owner: u32 exit status, and perhaps u32 what else is known of the end (ENDED_…); the last. */
export const EXIT = 18;
/** Owner: text for the user; the request failed. The last. */
export const FAILED = 19;
/** Owner: what was asked for is done. The last. */
export const DONE = 20;
/** Owner: u32 bytes of standard input that have been taken; none: nobody reads any more. */
export const TAKEN = 21;

const HEADER = 5;
const MAX_FRAME = 1 << 20;

export function frame(kind: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + payload.length);
  bytes.writeUInt32LE(1 + payload.length, 0);
  bytes[4] = kind;
  bytes.set(payload, HEADER);
  return bytes;
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export interface Frame {
  readonly kind: number;
  readonly payload: Buffer;
}

/** Takes a stream apart. Throws RangeError for a frame that is too long. */
export class FrameReader {
  #left: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Frame> {
    let bytes = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    for (;;) {
      if (bytes.length < HEADER) break;
      const length = bytes.readUInt32LE(0);
      if (length < 1 || length > MAX_FRAME) throw new RangeError(`a frame of ${length} bytes`);
      if (bytes.length < 4 + length) break;
      yield { kind: bytes[4] as number, payload: bytes.subarray(HEADER, 4 + length) };
      bytes = bytes.subarray(4 + length);
    }
    this.#left = Buffer.from(bytes);
  }
}
