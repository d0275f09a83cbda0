// Debian's gdb on a guest of our own, run by the software CPU.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ROOT } from '../support/cli/cli.ts';
import { buildGdbGuests, GDB_CASES, gdbArgs, gdbGuest, gdbScript, type GdbSession } from '../support/guests/gdb-cases.ts';
import { HANG_MS } from '../support/limits.ts';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-gdb-'));
  buildGdbGuests(dir);
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Boots the guest held for gdb, runs gdb's commands in batch mode, and waits for both ends. */
async function debug(cpus: number, commands: readonly string[]): Promise<GdbSession> {
  const socket = join(dir, `s${cpus}-${Math.floor(performance.now())}`);
  const vmm = spawn(process.execPath, [join(ROOT, 'bin', 'vmm.js'), ...gdbArgs(dir, cpus, 'wasm', socket)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let console = '';
  vmm.stdout.on('data', (chunk: Buffer) => {
    console += chunk.toString();
  });
  const ended = status(vmm);
  try {
    await told(vmm, 'target remote');
    const script = join(dir, 'script');
    writeFileSync(script, gdbScript(socket, commands));
    const gdb = spawn('gdb', ['-nx', '-batch', '-x', script, gdbGuest(dir, cpus)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [gdb.stdout, gdb.stderr]) stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const limit = setTimeout(() => gdb.kill('SIGKILL'), HANG_MS);
    await status(gdb);
    clearTimeout(limit);
    return { text, status: await ended, console };
  } finally {
    vmm.kill('SIGKILL');
  }
}

function status(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', (code) => resolve(code)));
}

function told(child: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(words)) resolve();
    });
    child.once('close', () => reject(new Error(`vmm ended: ${text}`)));
  });
}

describe('gdb on the software CPU', () => {
  it.each(GDB_CASES)('$name', async ({ cpus, commands, check }) => {
    check(await debug(cpus, commands));
  });
});
