/** A file that is only appended to, up to a size; then another one takes its place. */
import { closeSync, ftruncateSync, writeSync } from 'node:fs';

export interface Rotation {
  /** Open for appending. */
  readonly fd: number;
  /** Bytes that it has. */
  readonly size: number;
  /** No file grows beyond so many bytes, but by its first piece. */
  readonly most: number;
  /** Puts the full file aside and gives the descriptor of an empty one. Throws the file system's error: the full one stays in place, and the next piece tries again. */
  readonly next: () => number;
}

export class RotatedFile {
  readonly #most: number;
  readonly #next: () => number;
  #fd: number;
  #size: number;

  constructor({ fd, size, most, next }: Rotation) {
    this.#fd = fd;
    this.#size = size;
    this.#most = most;
    this.#next = next;
  }

  /** Appends all of the bytes or, with the file system's error, none: what a full disk has taken of them would spoil what comes next. */
  append(bytes: Uint8Array): void {
    if (this.#size > 0 && this.#size + bytes.length > this.#most) {
      const fd = this.#next();
      closeSync(this.#fd);
      this.#fd = fd;
      this.#size = 0;
    }
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      this.#size += bytes.length;
    } catch (error) {
      this.#takeBack();
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #takeBack(): void {
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch {
      // Who reads it leaves out what is no whole piece.
    }
  }
}
