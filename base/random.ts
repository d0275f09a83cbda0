import { closeSync, openSync, readSync } from 'node:fs';

/** Read at once: what a start needs of ids and tokens comes from one reading, before the process may open nothing more. */
const POOL = 1024;

let pool = Buffer.alloc(0);
/** There is no /dev/urandom for us, or none any more. */
let closed = false;

/** Random bytes of the kernel, for ids, names and tokens. Node takes 6 ms to load node:crypto, which is asked where there is no /dev/urandom, or too little left of it. */
export function randomBytes(length: number): Buffer {
  if (pool.length < length && !refill(length)) return process.getBuiltinModule('node:crypto').randomBytes(length);
  const bytes = Buffer.from(pool.subarray(0, length));
  // Nothing that was given away is kept.
  pool.fill(0, 0, length);
  pool = pool.subarray(length);
  return bytes;
}

function refill(length: number): boolean {
  if (closed || length > POOL) return false;
  try {
    const fd = openSync('/dev/urandom', 'r');
    try {
      const fresh = Buffer.alloc(POOL);
      if (readSync(fd, fresh, 0, POOL, null) !== POOL) return false;
      pool = fresh;
      return true;
    } finally {
      closeSync(fd);
    }
  } catch {
    // A root without devices, or a process that is bound.
    closed = true;
    return false;
  }
}
