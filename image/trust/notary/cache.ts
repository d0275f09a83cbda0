import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { VmmError } from '../../../base/errors.ts';
import { makeFolders } from '../../../base/folders.ts';
import type { Environment } from '../../registry/credentials.ts';

/** Docker's folder of trust: `tuf/GUN/metadata/` has what was last seen, `private/` the user's keys. */
export function trustFolder(env: Environment): string {
  return join(env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker'), 'trust');
}

/** What was last seen of a repository's trust data, where Docker keeps it: what one has trusted on first use, the other trusts. */
export class TrustCache {
  readonly #folder: string;

  /** `gun` has the form of a repository's name, so it is a path below. */
  constructor(env: Environment, gun: string) {
    this.#folder = join(trustFolder(env), 'tuf', gun, 'metadata');
  }

  read(role: string): Uint8Array | undefined {
    try {
      return readFileSync(this.#path(role));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'error';
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      // Without what was trusted before, anything would be trusted on first use.
      throw new VmmError('TRUST_CONFIG', `cannot read ${this.#path(role)}: ${code}`, { cause, hint: 'check its permissions' });
    }
  }

  /** Whole or not at all. */
  write(role: string, bytes: Uint8Array): void {
    const path = this.#path(role);
    const temporary = `${path}.${randomBytes(6).toString('hex')}`;
    try {
      makeFolders(dirname(path), 0o700);
      writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx' });
      renameSync(temporary, path);
    } catch (cause) {
      try {
        unlinkSync(temporary);
      } catch {
        // it was never made
      }
      throw new VmmError('TRUST_CONFIG', `cannot write ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'what was seen has to be remembered: check the folder, or set DOCKER_CONFIG' });
    }
  }

  #path(role: string): string {
    return join(this.#folder, `${role}.json`);
  }
}
