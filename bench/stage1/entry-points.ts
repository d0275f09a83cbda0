/**
 * The entry points of rkt's stage1 against an empty Node script: `node bench/stage1/entry-points.ts [--pairs 31] [--save]`. As root. The image is
 * laid out first; a pod is one app on a busybox. `enter` is measured up to its request and from the answer on: a server that answers at once stands
 * in for the pod.
 */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, ROOT, type Row, ratio, report } from '../harness.ts';
import { emptyScript, env, folder } from '../start/process.ts';
import { median } from '../statistics.ts';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '31' }, save: { type: 'boolean' } } });
const rounds = Number(values.pairs);
execFileSync(process.execPath, [join(ROOT, 'scripts/stage1.mjs'), '--layout-only'], { stdio: 'inherit' });
const image = join(ROOT, '.cache/stage1/layout/rootfs');
const UUID = '00000000-1111-4222-8333-444444444444';
const EXIT_FRAME = Buffer.from([5, 0, 0, 0, 18, 0, 0, 0, 0]);

/** A pod's directory without an overlay. */
function pod(exec: readonly string[]): string {
  const dir = join(folder, UUID);
  rmSync(dir, { recursive: true, force: true });
  const app = join(dir, 'stage1/rootfs/opt/stage2/app');
  mkdirSync(join(app, 'rootfs/bin'), { recursive: true });
  execFileSync('cp', ['-al', `${image}/.`, join(dir, 'stage1/rootfs')]);
  copyFileSync('/bin/busybox', join(app, 'rootfs/bin/busybox'));
  const labels = [{ name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }];
  writeFileSync(join(app, 'manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.com/app', labels, app: { exec, user: '0', group: '0' } }));
  const id = `sha512-${'0'.repeat(64)}`;
  writeFileSync(join(dir, 'pod'), JSON.stringify({ acVersion: '1.30.0', acKind: 'PodManifest', apps: [{ name: 'app', image: { name: 'example.com/app', id } }] }));
  return dir;
}

/** Time of a whole process, and what it wrote on standard error. */
function timed(command: string, args: readonly string[], cwd: string): Promise<{ ms: number; stderr: string }> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { cwd, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString(); });
    child.on('error', reject);
    child.on('exit', (status) => (status === 0 ? resolve({ ms: performance.now() - start, stderr }) : reject(new Error(`${command}: status ${status}: ${stderr}`))));
  });
}

const empty = async (): Promise<number> => (await timed(process.execPath, [emptyScript()], folder)).ms;

async function enterRow(): Promise<Row> {
  const dir = join(folder, 'answers');
  mkdirSync(dir, { recursive: true });
  process.chdir(dir);
  const server = createServer((socket) => {
    socket.once('data', () => socket.end(EXIT_FRAME));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen('vmm.sock', resolve));
  const enter = async (): Promise<number> => (await timed(join(image, 'enter'), ['--pid=1', '--appname=app', '--', '/bin/true'], dir)).ms;
  const { empty: theirs, enter: ours } = await inTurns({ empty, enter }, { rounds });
  server.close();
  return { what: '`enter`: exec of the entry point → request, and EXIT → its end', ...ratio(ours, theirs), target: { atMost: 1.5 }, note: `${median(ours).toFixed(1)} ms, an empty Node script ${median(theirs).toFixed(1)} ms` };
}

async function entryRow(): Promise<Row> {
  const dir = pod(['/bin/busybox', 'true']);
  const run = async (): Promise<number> => {
    const { stderr } = await timed(join(dir, 'stage1/rootfs/run'), ['--debug', '--net=none', UUID], dir);
    const ms = Number(/([\d.]+) ms.*first guest entry/.exec(stderr)?.[1]);
    if (!(ms > 0)) throw new Error(`no first guest entry in: ${stderr}`);
    return ms;
  };
  const { empty: theirs, run: ours } = await inTurns({ empty, run }, { rounds });
  return { what: '`run`, `--net=none`: its process → first guest entry', ...ratio(ours, theirs), target: { atMost: 2.5 }, note: `${median(ours).toFixed(1)} ms, an empty Node script ${median(theirs).toFixed(1)} ms, whole; the launcher’s own 1 ms is not in it` };
}

/** A host of its own in a network namespace, with rkt's default network but for the place of its leases: from the process to the app, and the plugins' part. */
async function networkRow(): Promise<Row> {
  const dir = pod(['/bin/busybox', 'true']);
  const host = `vmm-bench-${process.pid}`;
  const config = join(folder, 'etc');
  mkdirSync(join(config, 'net.d'), { recursive: true });
  const ipam = { type: 'host-local', subnet: '172.16.28.0/24', routes: [{ dst: '0.0.0.0/0' }], dataDir: join(folder, 'leases') };
  writeFileSync(join(config, 'net.d/99-default.conf'), JSON.stringify({ cniVersion: '0.1.0', name: 'default', type: 'ptp', ipMasq: true, ipam }));
  const onHost = (name: string, ...args: readonly string[]): Promise<{ stderr: string }> => timed('nsenter', [`--net=/run/netns/${host}`, join(dir, 'stage1/rootfs', name), ...args], dir);
  const points = { entry: [] as number[], app: [] as number[], plugins: [] as number[] };
  execFileSync('ip', ['netns', 'add', host]);
  try {
    for (let round = 0; round < rounds; round++) {
      const { stderr } = await onHost('run', '--debug', '--net=default', `--local-config=${config}`, UUID);
      const at = (name: string): number => Number(new RegExp(`([\\d.]+) ms.*${name}`).exec(stderr)?.[1]);
      points.entry.push(at('first guest entry'));
      points.app.push(at('container: command executed'));
      points.plugins.push(at('network: plugins ended') - at('network: plugins begin'));
      await onHost('gc', '--local-config', config, UUID);
    }
  } finally {
    execFileSync('ip', ['netns', 'del', host]);
  }
  const [entry, app, plugins] = [median(points.entry), median(points.app), median(points.plugins)];
  return { what: '`run` with one ptp network: its process → the app', value: app, unit: 'ms', samples: rounds, note: `of it CNI’s plugins (ptp, host-local, iptables) ${plugins.toFixed(0)} ms, ${(100 * plugins / app).toFixed(0)} %, beside the guest’s boot; first guest entry after ${entry.toFixed(0)} ms` };
}

/** Proportional set size of the pod's process, one app that sleeps, ten seconds after it said that it runs. */
async function memoryRow(): Promise<Row> {
  const dir = pod(['/bin/busybox', 'sh', '-c', 'echo runs; exec /bin/busybox sleep 1000']);
  const child = spawn(join(dir, 'stage1/rootfs/run'), ['--net=none', UUID], { cwd: dir, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1]);
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  return { what: 'PSS of a pod’s process with one idle app, after 10 s, guest kernel and app included', value: kib('Pss') / 1024, unit: 'MiB', target: { atMost: 120 }, note: `of it ${(kib('Pss_Anon') / 1024).toFixed(0)} MiB anonymous, ${(kib('Pss_File') / 1024).toFixed(0)} MiB of files (Node’s own text)` };
}

const rows = [await enterRow(), await entryRow(), await networkRow(), await memoryRow()];
report('stage1', { title: 'rkt’s stage1 on the software CPU', section: 'Pods', rows, command: `node bench/stage1/entry-points.ts --pairs ${rounds}` });
