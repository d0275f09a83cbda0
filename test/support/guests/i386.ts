import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './programs.ts';

/** Builds test/programs/i386-sockets.c: a program of i386 that needs no C library. */
export function buildI386Sockets(out: string): void {
  execFileSync('gcc', ['-m32', '-nostdlib', '-static', '-O1', '-fno-pic', '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-o', out, join(root, 'test/programs/i386-sockets.c')], { timeout: 60_000 });
}
