/**
 * SHA-256 (FIPS 180-4) of short texts: names of the store's files, a small directory's fingerprint. Node takes 6 ms to load node:crypto, a
 * twentieth of a start; it is what hashes anything longer.
 */
import type { Hash } from 'node:crypto';

/** Up to so many bytes are hashed here: with more node:crypto is the faster one, loading included. */
const SHORT = 16 << 10;
const BLOCK = 64;
/** 5.1.1: the length in bits takes the last eight bytes, and a bit goes before it. */
const TAIL = 9;
// biome-ignore format: 4.2.2
const K = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);
/** 5.3.3. */
const INITIAL = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19] as const;

/** The digest of what is given piece by piece. */
export class Sha256 {
  #bytes = Buffer.alloc(1024);
  #length = 0;
  /** Once it is no longer short. */
  #long: Hash | undefined;

  update(text: string, encoding: 'latin1' | 'utf8' = 'utf8'): this {
    const piece = Buffer.from(text, encoding);
    if (this.#long === undefined && this.#length + piece.length > SHORT) {
      this.#long = process.getBuiltinModule('node:crypto').createHash('sha256').update(this.#bytes.subarray(0, this.#length));
    }
    if (this.#long === undefined) this.#keep(piece);
    else this.#long.update(piece);
    return this;
  }

  /** In hexadecimal. */
  hex(): string {
    return this.#long?.digest('hex') ?? hashShort(this.#bytes.subarray(0, this.#length));
  }

  #keep(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }
}

/** The digest of a text in UTF-8, in hexadecimal. */
export function sha256(text: string): string {
  return new Sha256().update(text).hex();
}

function hashShort(bytes: Buffer): string {
  const padded = Buffer.alloc(Math.ceil((bytes.length + TAIL) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  padded.writeUInt32BE(8 * bytes.length, padded.length - 4);
  const hash = Int32Array.from(INITIAL);
  const schedule = new Int32Array(BLOCK);
  for (let at = 0; at < padded.length; at += BLOCK) hashBlock(hash, schedule, padded, at);
  const digest = Buffer.alloc(32);
  hash.forEach((word, i) => digest.writeInt32BE(word, 4 * i));
  return digest.toString('hex');
}

/** 6.2.2. Without destructuring, which is slow until it is compiled. */
function hashBlock(hash: Int32Array, w: Int32Array, message: Buffer, at: number): void {
  for (let t = 0; t < 16; t++) w[t] = message.readInt32BE(at + 4 * t);
  for (let t = 16; t < 64; t++) {
    const x = w[t - 15]!;
    const y = w[t - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = s1 + w[t - 7]! + s0 + w[t - 16]!;
  }
  let a = hash[0]!;
  let b = hash[1]!;
  let c = hash[2]!;
  let d = hash[3]!;
  let e = hash[4]!;
  let f = hash[5]!;
  let g = hash[6]!;
  let h = hash[7]!;
  for (let t = 0; t < 64; t++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t]! + w[t]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  hash[0]! += a;
  hash[1]! += b;
  hash[2]! += c;
  hash[3]! += d;
  hash[4]! += e;
  hash[5]! += f;
  hash[6]! += g;
  hash[7]! += h;
}
