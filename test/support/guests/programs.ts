import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
const sources = join(root, 'test', 'programs');
const built = join(root, '.cache', 'guests');

/** Builds test/programs/NAME.S into a PVH ELF (a static 32-bit program at 1 MiB) and returns its path. */
export function buildGuest(name: string): string {
  const source = join(sources, `${name}.S`);
  const out = join(built, `${name}.elf`);
  const newest = Math.max(statSync(source).mtimeMs, ...['pvh.inc', 'guest.ld'].map((file) => statSync(join(sources, file)).mtimeMs));
  if (existsSync(out) && statSync(out).mtimeMs > newest) return out;
  mkdirSync(built, { recursive: true });
  const temp = `${out}.${process.pid}`;
  const flags = ['-m32', '-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,--no-warn-rwx-segments', '-Wa,--noexecstack', '-T', join(sources, 'guest.ld')];
  execFileSync('gcc', [...flags, '-I', sources, '-o', temp, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(temp, out);
  return out;
}

/** Builds the C files of test/programs/NAME/ into one static program for guests of any C library and returns its path. */
export function buildStatic(name: string): string {
  const folder = join(sources, name);
  const files = readdirSync(folder).map((file) => join(folder, file));
  const out = join(built, name);
  if (existsSync(out) && statSync(out).mtimeMs > Math.max(...files.map((file) => statSync(file).mtimeMs))) return out;
  mkdirSync(built, { recursive: true });
  const temp = `${out}.${process.pid}`;
  const machine = execFileSync('gcc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
  const flags = ['-std=gnu11', '-O1', '-static', '-Wall', '-Wextra', '-Werror', '-Wno-unused-result', '-idirafter', '/usr/include', '-idirafter', `/usr/include/${machine}`];
  execFileSync('musl-gcc', [...flags, '-o', temp, ...files.filter((file) => file.endsWith('.c'))], { stdio: ['ignore', 'inherit', 'inherit'] });
  renameSync(temp, out);
  return out;
}
