import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { VmmError } from '../../../base/errors.ts';
import type { JsonObject } from '../../documents/json.ts';

/** The files that a rule of a policy names: a key that is exchanged makes it another rule. */
export class PolicyFiles {
  /** The policy itself. */
  readonly path: string;
  readonly #stamp: string;
  readonly #read: string[] = [];

  /** `stamp`: of the policy's own bytes. */
  constructor(path: string, stamp: string) {
    this.path = path;
    this.#stamp = stamp;
  }

  /** Of the policy, and of all that was read for the rule. */
  get stamp(): string {
    return this.#read.length === 0 ? this.#stamp : sha256([this.#stamp, ...this.#read].join(' '));
  }

  /** Throws TRUST_CONFIG. */
  read(file: string): Buffer {
    try {
      const bytes = readFileSync(file);
      this.#read.push(sha256(bytes));
      return bytes;
    } catch (cause) {
      throw new VmmError('TRUST_CONFIG', `${this.path}: cannot read its key ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
    }
  }

  /** What a requirement names as a file, several, or the data itself: `keyPath`, `keyPaths`, `keyData`, `keyDatas` for `key`. At most one of these. Throws TRUST_CONFIG. */
  of(entry: JsonObject, stem: string): Buffer[] {
    const given = [`${stem}Path`, `${stem}Paths`, `${stem}Data`, `${stem}Datas`].filter((key) => entry.has(key));
    if (given.length > 1) throw new VmmError('TRUST_CONFIG', `${this.path}: ${given.join(' and ')} in one requirement`, { hint: 'give one of them' });
    const one = given[0] ?? '';
    const texts = one.endsWith('s') ? entry.strings(one) : one === '' ? [] : [entry.string(one)];
    return one.includes('Data') ? texts.map((text) => Buffer.from(text, 'base64')) : texts.map((text) => this.read(text));
  }
}

function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
