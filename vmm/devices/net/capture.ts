import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { NET_FRAME_MAX } from '../../../assembly/contract/devices.ts';
import { ENOSPC } from '../../../assembly/contract/generated/errno.ts';
import { VmmError } from '../../../base/errors.ts';
import type { NetBackend } from './backend.ts';
import type { Frame } from './frames.ts';

// pcap(5): numbers are the writer's, here little-endian; LINKTYPE_ETHERNET; times in microseconds.
const MAGIC = 0xa1b2c3d4;
const ETHERNET = 1;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

/** Makes a capture's file with its header; the descriptor. Throws NET_CAPTURE. */
export function openCapture(path: string): number {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(NET_FRAME_MAX, 16);
  header.writeUInt32LE(ETHERNET, 20);
  try {
    const fd = openSync(path, 'w');
    writeSync(fd, header);
    return fd;
  } catch (cause) {
    throw new VmmError('NET_CAPTURE', `${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause, hint: 'give --pcap another place' });
  }
}

/** A cable of which a copy of each frame goes to a file, both ways. A file that cannot be written any more ends the capture, not the cable. */
export class CapturedBackend implements NetBackend {
  readonly #inner: NetBackend;
  readonly #fd: number;
  readonly #failed: (errno: number) => void;
  readonly #bytes = Buffer.alloc(RECORD_HEADER + NET_FRAME_MAX);
  #open = true;
  /** Up to here the file is whole. */
  #end = FILE_HEADER;

  constructor(inner: NetBackend, fd: number, failed: (errno: number) => void) {
    this.#inner = inner;
    this.#fd = fd;
    this.#failed = failed;
  }

  send(frame: Frame): number {
    const result = this.#inner.send(frame);
    if (result > 0) this.#record(frame, frame.bytes);
    return result;
  }

  receive(frame: Frame, last: boolean): number {
    const result = this.#inner.receive(frame, last);
    if (result > 0) this.#record(frame, result);
    return result;
  }

  setOffloads(offloads: number): void {
    this.#inner.setOffloads(offloads);
  }

  close(): void {
    this.#inner.close();
  }

  #record(frame: Frame, length: number): void {
    if (!this.#open || length > NET_FRAME_MAX) return;
    const bytes = this.#bytes;
    const ms = Date.now();
    bytes.writeUInt32LE(Math.floor(ms / 1000), 0);
    bytes.writeUInt32LE((ms % 1000) * 1000, 4);
    bytes.writeUInt32LE(length, 8);
    bytes.writeUInt32LE(length, 12);
    frame.copyTo(bytes, RECORD_HEADER, length);
    this.#write(RECORD_HEADER + length);
  }

  #write(length: number): void {
    let errno = ENOSPC;
    try {
      if (writeSync(this.#fd, this.#bytes, 0, length) === length) {
        this.#end += length;
        return;
      }
    } catch (error) {
      errno = Math.abs((error as NodeJS.ErrnoException).errno ?? errno);
    }
    this.#open = false;
    this.#failed(errno);
    try {
      // What was written of the last record would spoil the file for its readers.
      ftruncateSync(this.#fd, this.#end);
    } catch {
      // a pipe has no length
    }
  }
}
