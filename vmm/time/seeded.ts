import { createCipheriv, createHash } from 'node:crypto';

/**
 * Random bytes that follow from a seed: the key stream of AES-256 in counter mode (NIST SP 800-38A §6.5). Streams of other
 * names are independent, so that what one consumer takes does not change what another one gets.
 */
export class SeededStream {
  readonly #cipher: ReturnType<typeof createCipheriv>;

  constructor(seed: bigint, name: string) {
    const key = createHash('sha256').update(`vmm counted run\0${name}\0${seed}`).digest();
    this.#cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }

  bytes(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }
}
