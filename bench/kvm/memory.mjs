// Host memory beside guest RAM on KVM: RSS of `vmm boot` with an idle guest less the resident part of the linear memory,
// against an empty Node process. `npm run setup && node bench/kvm/memory.mjs [here|nested]`
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { envWithoutNode, root } from '../../scripts/lib.mjs';
import { NestedMachine } from '../../scripts/nested/machine.mjs';

const IDLE_S = 10;

/** Runs inside: prints "RSS LINEAR" in KiB of a process. The vCPU's page lies in the linear memory, which has no gap. */
const PROBE = `
const { readFileSync } = require('node:fs');
const maps = [];
for (const line of readFileSync('/proc/' + process.argv[2] + '/smaps', 'utf8').split('\\n')) {
  const head = /^([0-9a-f]+)-([0-9a-f]+) (\\S+) .*?(\\S*)$/.exec(line);
  if (head) maps.push({ from: head[1], to: head[2], rw: head[3].startsWith('rw'), name: head[4], rss: 0 });
  const rss = /^Rss: +(\\d+)/.exec(line);
  if (rss) maps[maps.length - 1].rss = Number(rss[1]);
}
const at = maps.findIndex(({ name }) => name.includes('kvm-vcpu'));
let linear = 0;
if (at >= 0) {
  let first = at;
  let last = at;
  while (maps[first - 1]?.rw && maps[first - 1].to === maps[first].from) first--;
  while (maps[last + 1]?.rw && maps[last].to === maps[last + 1].from) last++;
  for (let i = first; i <= last; i++) linear += maps[i].rss;
}
console.log(maps.reduce((sum, { rss }) => sum + rss, 0), linear);
`;

const env = envWithoutNode();
const dir = mkdtempSync(join(tmpdir(), 'bench-memory-'));
writeFileSync(join(dir, 'probe.cjs'), PROBE);
const here = { run: (script) => promisify(execFile)('sh', ['-c', script], { cwd: root, env }), close: async () => {} };
const machine = process.argv[2] === 'nested' ? await NestedMachine.boot({ take: [dir] }) : here;
const measure = async (command) => {
  const { stdout, stderr } = await machine.run(`${command} >/dev/null 2>/tmp/err & pid=$!; sleep ${IDLE_S}; sleep ${IDLE_S}; node ${dir}/probe.cjs $pid; kill -9 $pid; cat /tmp/err >&2`, { timeoutMs: 120_000 });
  const [rss, linear] = stdout.trim().split(' ').map(Number);
  if (!(rss > 0)) throw new Error(`${command}: ${stdout}${stderr}`);
  return { rss: rss / 1024, linear: linear / 1024 };
};
try {
  const empty = await measure("node -e 'setInterval(() => {}, 1e6)'");
  process.stdout.write(`empty Node process: ${empty.rss.toFixed(1)} MiB\n`);
  for (const cpus of [1, 2, 3]) {
    const { rss, linear } = await measure(`node bin/vmm.js boot -q --accel kvm --memory 32 --cpus ${cpus} --console none --kernel ${root}/.cache/guests/halt.elf`);
    process.stdout.write(`${cpus} vCPU: RSS ${rss.toFixed(1)} MiB, of it linear memory ${linear.toFixed(1)}, beside it ${(rss - linear - empty.rss).toFixed(1)} MiB more than empty\n`);
  }
} finally {
  await machine.close();
  rmSync(dir, { recursive: true });
}
