/** What programs of a sandbox may know, and nothing that is written down: no record, argument, log or message has it. */
import { posix } from 'node:path';
import { inspect } from 'node:util';
import { VmmError } from '../../base/errors.ts';

/** By name: a text that commands have as a variable of that name, or what they find in a file of that name in /run/secrets, which is memory. */
export type Secrets = Readonly<Record<string, string | { readonly file: string | Uint8Array; readonly mode?: number | undefined }>>;

/** Where files of secrets are: Docker's place. */
export const SECRETS_FOLDER = '/run/secrets';
const MOST_BYTES = 1 << 20;

export interface SecretFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}

/** Throws USAGE, without a value in it. */
export function checkSecrets(secrets: Secrets | undefined): void {
  const wrong = (what: string, hint: string): VmmError => new VmmError('USAGE', `Sandbox.create: secrets: ${what}`, { hint });
  for (const [name, secret] of Object.entries(secrets ?? {})) {
    if (typeof secret === 'string') {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw wrong(`${JSON.stringify(name)} is no name of a variable`, 'letters, digits, _');
      if (secret.includes('\0')) throw wrong(`the value of ${name} has a NUL byte`, 'put it into a file: { file: … }');
      continue;
    }
    if (!/^[\w.-]{1,255}$/.test(name) || posix.normalize(name) !== name || /^\.+$/.test(name)) throw wrong(`${JSON.stringify(name)} is no name of a file`, 'letters, digits, _ . -');
    const file: unknown = secret?.file;
    if (typeof file !== 'string' && !(file instanceof Uint8Array)) throw wrong(`${name} has neither a text nor a file`, 'write { file: … }');
    if (file.length > MOST_BYTES) throw wrong(`the file ${name} is larger than ${MOST_BYTES} bytes`, 'mount a volume');
  }
}

/** They are shown to nobody: not by console.log, not by JSON. */
export class KeptSecrets {
  /** NAME=VALUE, for each command. */
  readonly #env: readonly string[];
  readonly #files: readonly SecretFile[];

  constructor(secrets: Secrets = {}) {
    const entries = Object.entries(secrets);
    this.#env = entries.flatMap(([name, secret]) => (typeof secret === 'string' ? [`${name}=${secret}`] : []));
    this.#files = entries.flatMap(([name, secret]) => (typeof secret === 'string' ? [] : [{ path: `${SECRETS_FOLDER}/${name}`, content: Buffer.from(secret.file as string), mode: secret.mode ?? 0o400 }]));
  }

  get env(): readonly string[] {
    return this.#env;
  }

  get files(): readonly SecretFile[] {
    return this.#files;
  }

  toJSON(): string {
    return '[secrets]';
  }

  [inspect.custom](): string {
    return '[secrets]';
  }
}
