/** One run of a program in an emulator, by its CPU time between two lines of the guest's: other work on the machine weighs little. */
import { spawn } from 'node:child_process';
import { cpuTime } from '../statistics.ts';

const LIMIT_MS = 900_000;

export interface Sample {
  /** CPU time of the emulator's process, of all its threads, ms. */
  readonly ms: number;
  /** The guest's clock, ms. */
  readonly guestMs: number;
  readonly sum: string;
  /** What `--timeline` says of translations. */
  readonly told: string;
}

/** Runs a command whose guest prints `> NAME`, works, and prints `= SUM MS`. */
export function sample([command = '', ...args]: readonly string[], env: Readonly<Record<string, string>>, name: string): Promise<Sample> {
  const { promise, resolve, reject } = Promise.withResolvers<Sample>();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, timeout: LIMIT_MS });
  const pid = child.pid ?? 0;
  let said = '';
  let rest = '';
  let start = 0;
  let result: Omit<Sample, 'told'> | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === `> ${name}`) start = cpuTime(pid);
      const [, sum, guestMs] = /^= (\w+) (\d+)$/.exec(line) ?? [];
      if (sum !== undefined) result = { ms: (cpuTime(pid) - start) / 1e6, guestMs: Number(guestMs), sum };
    }
  });
  child.on('error', reject);
  child.on('close', () => {
    if (result === undefined) reject(new Error(`${name}: ${command} stopped early:\n${said}`));
    else resolve({ ...result, told: /translated: .*/.exec(said)?.[0] ?? '' });
  });
  return promise;
}
