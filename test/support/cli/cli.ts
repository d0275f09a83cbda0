import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { HANG_MS } from '../limits.ts';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface CliResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CliOptions {
  readonly stdin?: string | Uint8Array | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Another installation's program. */
  readonly bin?: string;
  /** Options for Node itself. */
  readonly node?: readonly string[];
  /** How many files the process may have open (util-linux's prlimit). */
  readonly files?: number;
  /** Open files that it has as 3 and so on. */
  readonly descriptors?: readonly number[];
  /** Milliseconds before the run counts as hanging. */
  readonly limit?: number;
}

/** VMM_BIN names another build of the CLI: for work on tests while the sources change. */
export const BIN = process.env['VMM_BIN'] ?? join(ROOT, 'bin', 'vmm.js');

/** Runs the built CLI. A run that takes longer than its limit is killed and gives status null. */
export function vmm(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const env: Record<string, string | undefined> = { ...process.env, ...options.env };
    for (const name of Object.keys(env)) if (name.startsWith('NODE_') || name.startsWith('VITEST')) delete env[name];
    const [command = '', ...before] = [...(options.files === undefined ? [] : ['prlimit', `--nofile=${options.files}:${options.files}`]), process.execPath];
    const child = spawn(command, [...before, ...(options.node ?? []), '--', options.bin ?? BIN, ...args], { cwd: ROOT, env, stdio: ['pipe', 'pipe', 'pipe', ...(options.descriptors ?? [])] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const [input, output, errors] = [child.stdin as Writable, child.stdout as Readable, child.stderr as Readable];
    output.on('data', (chunk: Buffer) => stdout.push(chunk));
    errors.on('data', (chunk: Buffer) => stderr.push(chunk));
    input.on('error', () => {});
    input.end(options.stdin ?? '');
    const timer = setTimeout(() => child.kill('SIGKILL'), options.limit ?? HANG_MS);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
    });
  });
}
