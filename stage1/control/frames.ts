/**
 * What the entry points enter, attach, stop and app-* say to the process of their pod, on the socket `vmm.sock` of the pod's directory (0600 in a folder of
 * root's: only root can connect). Version 1. Frames both ways: u32 length of what follows, little endian; u8 kind; payload. The first frame of a
 * client is REQUEST; an enter of another version of this program may be at the other end, so the version is the first thing in it.
 */
export const SOCKET = 'vmm.sock';
export const VERSION = 1;

/** Client: JSON of a Request. */
export const REQUEST = 1;
/** Client: bytes for standard input; none: its end. */
export const STDIN = 2;
/** Client: u16 rows, u16 columns. */
export const RESIZE = 3;
/** Client: u32 signal. */
export const SIGNAL = 4;
/** Pod: bytes. */
export const STDOUT = 16;
export const STDERR = 17;
/** Pod: u32 exit status; the last. */
export const EXIT = 18;
/** Pod: text for the user; the request failed. The last. */
export const FAILED = 19;
/** Pod: what was asked for is done. The last. */
export const DONE = 20;

const HEADER = 5;
const MAX_FRAME = 1 << 20;

export type Request =
  | { readonly version: number; readonly kind: 'exec'; readonly app: string; readonly args: readonly string[]; readonly tty: boolean; readonly rows: number; readonly columns: number; readonly term: string | undefined }
  | { readonly version: number; readonly kind: 'attach'; readonly app: string; readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean; readonly rows: number; readonly columns: number }
  | { readonly version: number; readonly kind: 'stop' }
  | { readonly version: number; readonly kind: 'app-add' | 'app-start' | 'app-stop' | 'app-rm'; readonly app: string };

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

/** Takes a stream apart. Throws RangeError for a frame that is too long. */
export class FrameReader {
  #left: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<{ kind: number; payload: Buffer }> {
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
