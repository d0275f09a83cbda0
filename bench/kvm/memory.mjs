// Host memory beside guest RAM on KVM: RSS of `vmm boot` with an idle guest less the resident part of the linear memory,
// against an empty Node process. `npm run setup && node bench/kvm/memory.mjs [here|nested] [--save] [--limits]`
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { envWithoutNode, root } from '../../scripts/lib.mjs';
import { NestedMachine } from '../../scripts/nested/machine.mjs';
import { report } from '../harness.ts';

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
const nested = process.argv.includes('nested');
const machine = nested ? await NestedMachine.boot({ take: [dir] }) : here;
/** The nested machine's is the one of this checkout, too. */
const node = nested ? 'node' : process.execPath;
const measure = async (command) => {
  const { stdout, stderr } = await machine.run(`${command} >/dev/null 2>/tmp/err & pid=$!; sleep ${IDLE_S}; sleep ${IDLE_S}; ${node} ${dir}/probe.cjs $pid; kill -9 $pid; cat /tmp/err >&2`, { timeoutMs: 120_000 });
  const [rss, linear] = stdout.trim().split(' ').map(Number);
  if (!(rss > 0)) throw new Error(`${command}: ${stdout}${stderr}`);
  return { rss: rss / 1024, linear: linear / 1024 };
};
try {
  const empty = await measure(`${node} -e 'setInterval(() => {}, 1e6)'`);
  const rows = [{ what: 'an empty Node process', value: empty.rss, unit: 'MiB' }];
  let before;
  for (const cpus of [1, 2, 3]) {
    const { rss, linear } = await measure(`${node} bin/vmm.js boot -q --accel kvm --memory 32 --cpus ${cpus} --console none --kernel ${root}/.cache/guests/halt.elf`);
    const value = rss - linear - empty.rss;
    rows.push({ what: `${cpus} vCPU${cpus > 1 ? 's' : ''}: RSS beside the linear memory, over the empty process`, value, unit: 'MiB', note: `RSS ${rss.toFixed(1)}, linear memory ${linear.toFixed(1)} MiB`, ...(cpus === 1 ? { target: { atMost: 40 } } : {}) });
    if (before !== undefined) rows.push({ what: `the ${cpus === 2 ? 'second' : 'third'} vCPU`, value: value - before, unit: 'MiB', target: { atMost: 11 } });
    before = value;
  }
  report(`kvm-memory-${nested ? 'nested' : 'here'}`, { title: `Host memory beside guest RAM, ${nested ? 'KVM in the nested machine' : "this machine's KVM"}, idle guest`, section: 'Memory', rows });
} finally {
  await machine.close();
  rmSync(dir, { recursive: true });
}
