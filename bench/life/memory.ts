/**
 * What the process of an idle detached container holds beside its guest's RAM, against an empty Node process that waits: `node bench/life/memory.ts [--rounds 5] [--save]`.
 * Software CPU, no network. Guest RAM is the one mapping that is as large as --memory says.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { inTurns, middle, ROOT, report } from '../harness.ts';
import { env, folder } from '../start/process.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, save: { type: 'boolean' } } });
const rounds = Number(values.rounds);
const KIB_A_MIB = 1024;
/** Of no other mapping. */
const GUEST_MIB = 176;
const IDLE_MS = 5000;
const root = join(folder, 'containers');
const image = join(folder, 'image');
mkdirSync(join(image, 'bin'), { recursive: true });
copyFileSync(spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim(), join(image, 'bin', 'sleep'));

interface Held {
  /** MiB: resident, and what of it is this process's alone or its part of what is shared. */
  readonly rss: number;
  readonly pss: number;
}

/** proc(5), smaps. Without guest RAM. */
function held(pid: number | string): Held {
  const maps = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter((map) => {
    const [, from = '0', to = '0'] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(map) ?? [];
    return Number.parseInt(to, 16) - Number.parseInt(from, 16) !== GUEST_MIB * 2 ** 20;
  });
  const sum = (key: string): number => maps.reduce((total, map) => total + Number(new RegExp(`^${key}: +(\\d+) kB`, 'm').exec(map)?.[1] ?? 0), 0) / KIB_A_MIB;
  return { rss: sum('Rss'), pss: sum('Pss') };
}

function vmm(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--', join(ROOT, 'bin', 'vmm.js'), ...words], { env: env as NodeJS.ProcessEnv, encoding: 'utf8', timeout: 120_000 });
  if (status !== 0) throw new Error(`vmm ${words.join(' ')}: ${status}: ${stderr}`);
  return stdout.trim();
}

async function owner(): Promise<Held> {
  vmm('run', '-d', '--root', root, '--accel', 'wasm', '-m', `${GUEST_MIB}m`, '--network', 'none', '--name', 'idle', image, 'sleep', '1000');
  await sleep(IDLE_MS);
  const found = held(vmm('inspect', '--root', root, '-f', '{{.State.Pid}}', 'idle'));
  vmm('rm', '--root', root, '-f', 'idle');
  return found;
}

async function empty(): Promise<Held> {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 100000)'], { env: env as NodeJS.ProcessEnv, stdio: 'ignore' });
  await sleep(IDLE_MS);
  const found = held(child.pid ?? 0);
  child.kill();
  return found;
}

const taken = await inTurns({ owner, empty }, { rounds });
const beside = (key: keyof Held): number[] => taken.owner.map((one, i) => one[key] - (taken.empty[i] as Held)[key]);
report('life-memory', {
  title: 'The process of an idle detached container, beside its guest’s RAM', section: 'Containers', command: `node bench/life/memory.ts --rounds ${rounds}`,
  rows: [
    { what: 'more than an empty Node process: memory of its own and its part of what is shared (PSS)', ...middle(beside('pss'), 'MiB'), target: { atMost: 45 } },
    { what: 'more than an empty Node process: resident (RSS, pages of Node’s program file that others have, too, included)', ...middle(beside('rss'), 'MiB') },
  ],
});
process.exit();
