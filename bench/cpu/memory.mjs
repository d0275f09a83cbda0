// Host memory that decoded code and the tables of the software CPU really take, in resident pages of the machine's linear memory.
// Usage: node bench/cpu/memory.mjs [--cpus 1] [--save] [-- IMAGE CMD…]
// Without a command: a busybox shell that waits. Looks when the command has written a line "ready". Needs root (/proc/PID/pagemap).
import { spawn } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { report } from '../harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = 4096;
const { values, positionals } = parseArgs({ allowPositionals: true, options: { cpus: { type: 'string', default: '1' }, save: { type: 'boolean' } } });

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
  tell(child.pid);
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

/** Where the linear memory begins: of the mappings that hold as much as its areas and RAM, alone or with their neighbours, the one in use. */
function memoryBase(pid) {
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1').trim().split('\n').map((line) => {
    const [range, rights] = line.split(' ');
    const [start, end] = range.split('-').map((part) => Number.parseInt(part, 16));
    return { start, end, writable: rights.startsWith('rw') };
  });
  const bases = maps.flatMap(({ start, writable }, i) => {
    let last = i;
    while (maps[last + 1]?.start === maps[last].end && maps[last + 1].writable) last += 1;
    return writable && start % 65536 === 0 && maps[last].end - start > layout.RAM_BASE ? [start] : [];
  });
  const used = bases.map((base) => resident(pid, base + layout.CPU_BASE, base + layout.RAM_BASE));
  const most = Math.max(...used);
  if (!(most > 0)) throw new Error('no mapping of the linear memory');
  return bases[used.indexOf(most)];
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

function tell(pid) {
  const base = memoryBase(pid);
  const rows = AREAS.map(([what, from, to]) => ({ what, value: resident(pid, base + from, base + to) / 2 ** 20, unit: 'MiB' }));
  rows.push({ what: 'together', value: rows.reduce((sum, { value }) => sum + value, 0), unit: 'MiB' });
  report(`cpu-memory-${values.cpus}`, { title: `Resident memory of the software CPU, ${values.cpus} vCPU${values.cpus === '1' ? '' : 's'}${positionals.length > 0 ? '' : ', boot to a shell'}`, section: 'Memory', rows });
}
