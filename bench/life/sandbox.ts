/**
 * `Sandbox.create` → first output of its first `exec`, against process start → first output of `vmm run` of the same: `node bench/life/sandbox.ts [--pairs 15] [--save]`.
 * Software CPU, no network, an image of the store. Of a process's first sandbox and of its second, in a new process each time.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, ROOT, type Row, ratio, report } from '../harness.ts';
import { env, folder } from '../start/process.ts';
import { median } from '../statistics.ts';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '15' }, save: { type: 'boolean' } } });
const rounds = Number(values.pairs);
const MEMORY = 128;
const LIMIT_MS = 120_000;
const image = join(folder, 'image');
mkdirSync(join(image, 'bin'), { recursive: true });
copyFileSync(spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim(), join(image, 'bin', 'echo'));

/** Prints a line for each sandbox: ms from create to the first output. */
const SCRIPT = `
const { Sandbox } = await import(${JSON.stringify(new URL('../../dist/vmm.js', import.meta.url).href)});
for (let i = 0; i < 2; i++) {
  const from = performance.now();
  const box = await Sandbox.create({ image: ${JSON.stringify(image)}, accel: 'wasm', memory: ${MEMORY} });
  let first;
  await box.exec('echo', ['up'], { onStdout: () => (first ??= performance.now() - from) });
  await box.stop();
  console.log(first);
}
process.exit();`;

function sandboxes(): readonly number[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT], { env: env as NodeJS.ProcessEnv, encoding: 'utf8', timeout: LIMIT_MS });
  const times = stdout.trim().split('\n').map(Number);
  if (status !== 0 || times.length !== 2 || times.some((time) => !(time > 0))) throw new Error(`a sandbox: ${status}: ${stdout}${stderr}`);
  return times;
}

function run(): Promise<number> {
  return new Promise((resolve, reject) => {
    const from = performance.now();
    const child = spawn(process.execPath, ['--', join(ROOT, 'bin', 'vmm.js'), 'run', '-q', '--accel', 'wasm', '-m', `${MEMORY}m`, '--network', 'none', image, 'echo', 'up'], { env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'inherit'], timeout: LIMIT_MS });
    let first: number | undefined;
    child.stdout.on('data', () => {
      first ??= performance.now() - from;
    });
    child.on('error', reject);
    child.on('close', (status) => (status === 0 && first !== undefined ? resolve(first) : reject(new Error(`vmm run: ${status}`))));
  });
}

await run(); // the image is in the store from now on
const taken = await inTurns<'sandboxes' | 'run', readonly number[]>({ sandboxes, run: async () => [await run()] }, { rounds });
const of = (what: string, index: number): Row => {
  const ours = taken.sandboxes.map((one) => one[index] ?? Number.NaN);
  const theirs = taken.run.map(([time = Number.NaN]) => time);
  return { what, ...ratio(ours, theirs), target: { atMost: 1 }, note: [ours, theirs].map((list) => `${median(list).toFixed(0)} ms`).join(' against ') };
};
report('life-sandbox', {
  title: '`Sandbox.create` → first output of `exec`, against `vmm run` of the same', section: 'Containers', command: `node bench/life/sandbox.ts --pairs ${rounds}`,
  rows: [of('the first of a process', 0), of('the second', 1)],
});
process.exit();
