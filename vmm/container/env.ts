import { readFileSync } from 'node:fs';
import { VmmError } from '../errors.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Docker's environment: PATH, HOSTNAME (TERM with a terminal), the image's list, then -e in order; later ones win. HOME is init's to fill from passwd. */
export function containerEnvironment(options: {
  readonly image: readonly string[];
  readonly envFiles: readonly string[];
  readonly env: readonly string[];
  readonly hostname: string;
  readonly tty: boolean;
  readonly host: Readonly<Record<string, string | undefined>>;
}): string[] {
  const result = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', options.hostname],
  ]);
  if (options.tty) result.set('TERM', 'xterm');
  const put = (entry: string): void => {
    const eq = entry.indexOf('=');
    if (eq > 0) {
      result.set(entry.slice(0, eq), entry.slice(eq + 1));
      return;
    }
    if (eq === 0 || entry === '') throw new VmmError('USAGE', `-e: ${entry} has no name`, { hint: 'write NAME=VALUE' });
    // A bare name takes the host's value, and without one removes the variable.
    const value = options.host[entry];
    if (value === undefined) result.delete(entry);
    else result.set(entry, value);
  };
  for (const entry of options.image) if (entry.includes('=')) put(entry);
  for (const path of options.envFiles) for (const line of envFile(path)) put(line);
  for (const entry of options.env) put(entry);
  return [...result].map(([name, value]) => `${name}=${value}`);
}

function envFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new VmmError('USAGE', `--env-file: cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the path' });
  }
  return text
    .split('\n')
    .map((line) => line.replace(/\r$/, '').trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
