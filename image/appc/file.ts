import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';

const CHUNK = 1 << 20;

/** Opens a regular file for reading; never waits for a FIFO. Throws IMAGE_OPEN. */
export function openRegular(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('IMAGE_OPEN', code === 'ENOENT' ? `${path} does not exist` : `cannot read ${path}: ${code}`, { cause, hint: 'check the path and its permissions' });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new VmmError('IMAGE_OPEN', `${path} is not a file`, { hint: 'give a file' });
}

/** An open file's bytes from its beginning, a new buffer each time. */
export async function* chunksOf(fd: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    const n = readSync(fd, buffer, 0, CHUNK, at);
    if (n === 0) return;
    at += n;
    yield buffer.subarray(0, n);
  }
}

/** A whole file of at most `max` bytes. Throws IMAGE_OPEN, IMAGE_LIMIT. */
export function readBounded(path: string, max: number): Buffer {
  const fd = openRegular(path);
  try {
    const buffer = Buffer.allocUnsafe(max + 1);
    let length = 0;
    for (let n = 1; n > 0 && length <= max; length += n) n = readSync(fd, buffer, length, buffer.length - length, length);
    if (length > max) throw new VmmError('IMAGE_LIMIT', `${path} is larger than ${max} bytes`, { hint: 'is it the right file?' });
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
