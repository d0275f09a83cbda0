/**
 * Commands that only ask, against an empty Node script: `node bench/life/clients.ts [--pairs 31] [--save]`. `exec` is measured up to its request and
 * from the answer on: a socket that answers at once stands in for the container's process. `ps` looks at 50 containers that run, each a
 * process that is named as an owner is, and a socket of this one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EXIT, frame, number32 } from '../../vmm/api/frames.ts';
import { type ContainerLife, type ContainerRecord, NO_RESTART, PROTOCOL_VERSION, RECORD_VERSION, StateFolder } from '../../vmm/api/owner.ts';
import { inTurns, ROOT, type Row, ratio, report } from '../harness.ts';
import { emptyScript, env, folder } from '../start/process.ts';
import { median } from '../statistics.ts';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '31' }, save: { type: 'boolean' } } });
const rounds = Number(values.pairs);
const root = join(folder, 'containers');
const CONTAINERS = 50;
const owners: ChildProcess[] = [];
process.on('exit', () => owners.forEach((owner) => owner.kill()));
/** An answer, and the end of a command with status 0. */
const ANSWER = Buffer.concat([Buffer.from(`${JSON.stringify({ version: PROTOCOL_VERSION, done: true })}\n`), frame(EXIT, number32(0))]);

function record(id: string, index: number): ContainerRecord {
  return {
    version: RECORD_VERSION, id, name: `box-${index}`, image: 'debian:12', imageId: '', rootfs: '', command: ['sleep', '1000'], env: [], labels: { number: `${index}` }, created: new Date().toISOString(),
    config: { env: [], entrypoint: [], cmd: ['sh'], workingDir: '/', user: '', stopSignal: undefined, volumes: [], labels: {}, exposedPorts: [] } as unknown as ContainerRecord['config'],
    argv: [], folder: '/', disk: false, restart: NO_RESTART, autoRemove: false, stopTimeout: undefined,
  };
}

/** Containers that run, as far as a client can see. */
async function containers(): Promise<Server[]> {
  const state = new StateFolder(root);
  state.make();
  return Promise.all(Array.from({ length: CONTAINERS }, async (_, index) => {
    const id = randomBytes(32).toString('hex');
    mkdirSync(state.folder(id), { mode: 0o700 });
    // A process that is named as an owner is.
    const owner = spawn('sh', ['-c', 'read -r line', 'owner', root, id], { stdio: ['pipe', 'ignore', 'ignore'] });
    owners.push(owner);
    const life: ContainerLife = { pid: owner.pid ?? 0, ran: true, restarts: 0, started: new Date().toISOString(), end: undefined, restarting: false };
    writeFileSync(join(state.folder(id), 'record.json'), JSON.stringify(record(id, index)));
    writeFileSync(join(state.folder(id), 'life.json'), JSON.stringify(life));
    writeFileSync(join(state.names, `box-${index}`), id);
    const server = createServer((socket) => {
      socket.once('data', () => socket.end(ANSWER));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(state.socket(id), resolve));
    return server;
  }));
}

interface Taken {
  /** Milliseconds from start to end, and of them and of its threads on a CPU. */
  readonly wall: number;
  readonly cpu: number;
}

/** A whole process: bash's `time` is the one that tells a child's CPU time in milliseconds. */
function timed(args: readonly string[]): Promise<Taken> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', 'TIMEFORMAT="times %R %U %S"; time "$@"', 'bash', process.execPath, ...args], { env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] });
    let lines = 0;
    let told = '';
    child.stdout.on('data', (bytes: Buffer) => {
      lines += bytes.toString().split('\n').length - 1;
    });
    child.stderr.on('data', (bytes: Buffer) => {
      told += bytes.toString();
    });
    child.on('error', reject);
    child.on('close', (status) => {
      const seconds = /^times ([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(told);
      if (status !== 0 || seconds === null || (lines !== 0 && lines !== CONTAINERS + 1)) reject(new Error(`${args.join(' ')}: status ${status}, ${lines} lines: ${told}`));
      else resolve({ wall: 1000 * Number(seconds[1]), cpu: 1000 * (Number(seconds[2]) + Number(seconds[3])) });
    });
  });
}

const vmm = (...words: string[]) => () => timed(['--', join(ROOT, 'bin', 'vmm.js'), ...words]);
await containers();
const empty = () => timed([emptyScript()]);
const taken = await inTurns({ empty, exec: vmm('exec', '--root', root, 'box-7', 'true'), ps: vmm('ps', '--root', root) }, { rounds });
const of = (what: string, ours: readonly Taken[]): Row[] => {
  const both = (key: keyof Taken) => [ours.map((one) => one[key]), taken.empty.map((one) => one[key])] as const;
  const note = (key: keyof Taken): string => both(key).map((list) => `${median(list).toFixed(0)} ms`).join(' against ');
  return [
    { what: `${what}: time`, ...ratio(...both('wall')), target: { atMost: 1.5 }, note: note('wall') },
    { what: `${what}: CPU time`, ...ratio(...both('cpu')), note: note('cpu') },
  ];
};
const rows: Row[] = [...of('`vmm exec NAME true`: its process → request, and answer → its end', taken.exec), ...of(`\`vmm ps\`, ${CONTAINERS} containers that run`, taken.ps)];
report('life-clients', { title: 'Clients of containers', section: 'Containers', rows, command: `node bench/life/clients.ts --pairs ${rounds}` });
process.exit();
