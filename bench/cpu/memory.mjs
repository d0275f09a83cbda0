// Host memory that decoded code and the tables of the software CPU really take, in resident pages of the machine's linear memory.
// Usage: node bench/cpu/memory.mjs [--cpus 1] [-- IMAGE CMD…]
// Without a command: a busybox shell that waits. Looks when the command has written a line "ready". Needs root (/proc/PID/pagemap).
import { spawn } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = 4096;
const { values, positionals } = parseArgs({ allowPositionals: true, options: { cpus: { type: 'string', default: '1' } } });

/** The areas of assembly/core/layout.ts, by the names of their first bytes. */
const layout = Object.fromEntries(
  [...readFileSync(join(root, 'assembly', 'core', 'layout.ts'), 'utf8').matchAll(/^export const (\w+): u32 = (0x[\da-f_]+|\d+);/gm)].map(([, name, value]) => [name, Number(value.replaceAll('_', ''))]),
);
const AREAS = [
  ['CPU states, TLBs, jump caches', layout.CPU_BASE, layout.CODE_MARK_BASE],
  ['code marks, generations, line masks', layout.CODE_MARK_BASE, layout.BLOCK_BASE],
  ['decoded blocks', layout.BLOCK_BASE, layout.BLOCK_BASE + layout.BLOCK_SIZE],
];

const command = positionals.length > 0 ? positionals : [image(), '/bin/busybox', 'sh', '-c', 'echo ready; read x'];
const child = spawn(process.execPath, ['--', join(root, 'bin', 'vmm.js'), 'run', '-i', '-q', '--accel', 'wasm', '--cpus', values.cpus, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
let text = '';
child.stdout.setEncoding('utf8').on('data', (chunk) => {
  text += chunk;
  if (!/^ready$/m.test(text)) return;
  text = '';
  report(child.pid);
  child.stdin.end();
  child.kill();
});

function image() {
  const dir = join(root, '.cache', 'bench-memory');
  for (const sub of ['bin', 'dev', 'proc', 'sys', 'tmp', 'etc']) mkdirSync(join(dir, sub), { recursive: true });
  copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
  chmodSync(join(dir, 'bin', 'busybox'), 0o755);
  return dir;
}

/** Where the linear memory begins: the mapping that holds as much as its areas and RAM, or the first of neighbours that do. */
function memoryBase(pid) {
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1').trim().split('\n').map((line) => {
    const [range, rights] = line.split(' ');
    const [start, end] = range.split('-').map((part) => Number.parseInt(part, 16));
    return { start, end, writable: rights.startsWith('rw') };
  });
  for (let i = 0; i < maps.length; i += 1) {
    let end = maps[i].end;
    if (!maps[i].writable) continue;
    for (let k = i + 1; k < maps.length && maps[k].start === end && maps[k].writable; k += 1) end = maps[k].end;
    if (end - maps[i].start > layout.RAM_BASE && maps[i].start % 65536 === 0) return maps[i].start;
  }
  throw new Error('no mapping of the linear memory');
}

function resident(pid, start, end) {
  const file = openSync(`/proc/${pid}/pagemap`, 'r');
  const entries = Buffer.alloc(((end - start) / PAGE) * 8);
  readSync(file, entries, 0, entries.length, (start / PAGE) * 8);
  closeSync(file);
  let pages = 0;
  for (let at = 7; at < entries.length; at += 8) if (entries[at] & 0xc0) pages += 1;
  return pages * PAGE;
}

function report(pid) {
  const base = memoryBase(pid);
  let sum = 0;
  for (const [name, from, to] of AREAS) {
    const bytes = resident(pid, base + from, base + to);
    sum += bytes;
    process.stdout.write(`${name.padEnd(40)}${(bytes / 1e6).toFixed(2).padStart(8)} MB\n`);
  }
  process.stdout.write(`${'together'.padEnd(40)}${(sum / 1e6).toFixed(2).padStart(8)} MB\n`);
}
