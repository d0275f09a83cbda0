import { VmmError } from '../../base/errors.ts';
import { NothingComes, readBounded } from '../host/read-bounded.ts';

/** Longest file of variables, bytes: execve(2) takes less. */
const ENV_FILE_MAX = 4 << 20;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Docker's environment: PATH, HOSTNAME (TERM with a terminal), the image's list, then -e in order; later ones win. HOME is init's to fill from passwd. */
export function containerEnvironment(options: {
  readonly image: readonly string[];
  readonly envFiles: readonly string[];
  readonly env: readonly string[];
  readonly hostname: string;
  readonly tty: boolean;
  /** The host's variables: a name alone takes the value from there. */
  readonly host: (name: string) => string | undefined;
}): string[] {
  const result = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', options.hostname],
  ]);
  if (options.tty) result.set('TERM', 'xterm');
  for (const entry of [...options.image.filter((line) => line.indexOf('=') > 0), ...askedVariables(options)]) {
    const eq = entry.indexOf('=');
    if (eq > 0) result.set(entry.slice(0, eq), entry.slice(eq + 1));
    else result.delete(entry);
  }
  return [...result].map(([name, value]) => `${name}=${value}`);
}

/** What --env-file and -e ask for, in order: NAME=VALUE, or a bare NAME, which has no value on the host and is to be removed. Throws USAGE. */
export function askedVariables({ envFiles, env, host }: { readonly envFiles: readonly string[]; readonly env: readonly string[]; readonly host: (name: string) => string | undefined }): string[] {
  const read = (entry: string, where: string): string => {
    const eq = entry.indexOf('=');
    if (eq > 0) return entry;
    if (eq === 0 || entry === '') throw new VmmError('USAGE', `${where}: ${entry} has no name`, { hint: 'write NAME=VALUE' });
    const value = host(entry);
    return value === undefined ? entry : `${entry}=${value}`;
  };
  return [...envFiles.flatMap((path) => fileLines(path, '--env-file').map((line) => read(line, `--env-file ${path}`))), ...env.map((entry) => read(entry, '-e'))];
}

/** The text of a file that an option names: of a pipe, too, and never more than `most` bytes. `hint`: what to give. Throws USAGE. */
export function optionText(path: string, option: string, most: number, hint: string): string {
  const bad = (what: string, todo: string, cause?: unknown): VmmError => new VmmError('USAGE', `${option}: ${what}`, { cause, hint: todo });
  let bytes: Uint8Array;
  try {
    bytes = readBounded(path, most + 1);
  } catch (cause) {
    if (cause instanceof NothingComes) throw bad(`${path} is a pipe to which nobody writes`, 'name a file, or start its writer first', cause);
    throw bad(`cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, 'check the path', cause);
  }
  if (bytes.length > most) throw bad(`${path} is larger than ${most} bytes`, hint);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw bad(`${path} is not UTF-8`, hint, cause);
  }
}

/** The lines of a file of variables, or of labels, that are neither empty nor comments. Throws USAGE. */
export function fileLines(path: string, option: '--env-file' | '--label-file'): string[] {
  const lines = optionText(path, option, ENV_FILE_MAX, 'give a text file of NAME=VALUE lines')
    .split('\n')
    .map((line) => line.replace(/\r$/, '').trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of lines) {
    const [name] = line.split('=', 1) as [string];
    if (/\s/.test(name) || line.includes('\0')) throw new VmmError('USAGE', `${option}: ${path}: ${JSON.stringify(line.slice(0, 80))} is not NAME=VALUE`, { hint: 'names have no white space' });
  }
  return lines;
}
