/**
 * What a guest's kernel asks of a shared directory, asked of our virtio-fs device on its thread and of Debian's virtiofsd by vhost-user: the same driver,
 * the same tree, warm, in turns. As root. `node bench/fs/replay.ts [PAIRS] [--save] [--limits]`
 */
import { closeSync, mkdirSync, openSync, readFileSync, writeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inTurns, ratio, report, type Row } from '../harness.ts';
import { median } from '../statistics.ts';
import { folder } from '../start/process.ts';
import { type DirEntry, GuestKernel } from './kernel.ts';
import { ourServer } from './ours.ts';
import { virtiofsd, virtiofsdIsHere, virtiofsdVersion } from './peer.ts';
import type { FsServer } from './server.ts';

const FOLDERS = 200;
/** 15,000 in all: virtiofsd has a descriptor open of each, and a process may have 20,000 here. */
const FILES = 75;
const MIB = 1 << 20;
const LARGE_MIB = 128;
const RANDOM = 20_000;
/** Of /proc/PID/stat's times. */
const TICKS = 100;

/** What a round takes: seconds by the clock, and of CPU time of who serves. */
interface Taken {
  readonly seconds: number;
  readonly cpu: number;
}

function makeTree(): string {
  const dir = join(folder, 'tree');
  for (let i = 0; i < FOLDERS; i++) {
    mkdirSync(join(dir, `folder${i}`), { recursive: true });
    for (let k = 0; k < FILES; k++) writeFileSync(join(dir, `folder${i}`, `source-file-${k}.c`), `${i} ${k}\n`);
  }
  const fd = openSync(join(dir, 'large'), 'w');
  for (let i = 0; i < LARGE_MIB; i++) writeSync(fd, Buffer.alloc(MIB, i + 1));
  closeSync(fd);
  return dir;
}

/** User and system time of a thread or process, seconds (proc(5): fields 14 and 15). */
function cpuSeconds(stat: string): number {
  const fields = readFileSync(stat, 'latin1').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** A server with a kernel that has walked the tree. */
class Bed {
  readonly server: FsServer;
  readonly kernel: GuestKernel;
  readonly folders: DirEntry[];
  readonly large: bigint;

  constructor(server: FsServer) {
    this.server = server;
    this.kernel = new GuestKernel(server);
    const root = this.kernel.list(1n);
    this.folders = root.filter(({ directory }) => directory);
    this.large = this.kernel.lookup(1n, Buffer.from('large'));
  }

  take(work: (bed: Bed) => number): Taken {
    const [cpu, start] = [cpuSeconds(this.server.stat), performance.now()];
    work(this);
    return { seconds: (performance.now() - start) / 1000, cpu: cpuSeconds(this.server.stat) - cpu };
  }
}

/** `find`: each directory with what is in it. */
function find({ kernel, folders }: Bed): number {
  let found = 0;
  for (const { node } of folders) found += kernel.list(node).length;
  if (found !== FOLDERS * FILES) throw new Error(`${found} files`);
  return found;
}

/** `git status` a while later: each name is looked up again, and its attributes are asked for. */
function status({ kernel, folders }: Bed): number {
  for (const { node } of folders) {
    for (let k = 0; k < FILES; k++) {
      const file = kernel.lookup(node, Buffer.from(`source-file-${k}.c`));
      if (k % 4 === 0) kernel.getattr(file);
    }
  }
  return FOLDERS * FILES;
}

function transfer(size: number, depth: number, write: boolean, offsets: readonly number[]): (bed: Bed) => number {
  return ({ kernel, large }) => {
    const fh = kernel.open(large, write ? 2 : 0);
    kernel.transfer(large, fh, offsets, { size, depth, write });
    kernel.release(large, fh);
    return offsets.length;
  };
}

const upwards = (size: number): number[] => Array.from({ length: (LARGE_MIB * MIB) / size }, (_, i) => i * size);
/** The same places for both, by a linear congruence (Numerical Recipes). */
function scattered(): number[] {
  let state = 1;
  return Array.from({ length: RANDOM }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state % ((LARGE_MIB * MIB) / 4096)) * 4096;
  });
}

const LOADS = {
  'find over 15,000 files': find,
  'git status: 15,000 lookups': status,
  '128 MiB read, 128 KiB a request, two at a time': transfer(128 << 10, 2, false, upwards(128 << 10)),
  '128 MiB written, 1 MiB a request': transfer(MIB, 1, true, upwards(MIB)),
  '4 KiB read here and there': transfer(4096, 1, false, scattered()),
};

if (!virtiofsdIsHere()) throw new Error('virtiofsd is missing: apt-get install qemu-system-common');
const pairs = Number(process.argv.slice(2).find((word) => !word.startsWith('--')) ?? '11');
const tree = makeTree();
const servers: FsServer[] = [];
const bed = async (server: Promise<FsServer>): Promise<Bed> => {
  servers.push(await server);
  return new Bed(await server);
};
const rows: Row[] = [];
try {
  const [ours, theirs] = [await bed(ourServer(tree)), await bed(virtiofsd(tree))];
  for (const [what, work] of Object.entries(LOADS)) {
    const taken = await inTurns({ theirs: () => theirs.take(work), ours: () => ours.take(work) }, { rounds: pairs });
    const of = (key: keyof Taken, who: 'ours' | 'theirs'): number[] => taken[who].map((sample) => Math.max(sample[key], 1 / TICKS));
    const ms = (key: keyof Taken): string => `${(1000 * median(of(key, 'ours'))).toFixed(0)} ms, virtiofsd ${(1000 * median(of(key, 'theirs'))).toFixed(0)} ms`;
    rows.push({ what: `${what}: requests a second`, ...ratio(of('seconds', 'theirs'), of('seconds', 'ours')), target: { atLeast: 1 }, note: ms('seconds') });
    rows.push({ what: `${what}: CPU time of who serves`, ...ratio(of('cpu', 'ours'), of('cpu', 'theirs')), note: ms('cpu') });
  }
} finally {
  for (const server of servers) await server.close();
}
report('fs-replay', {
  title: `A shared directory, against virtiofsd ${virtiofsdVersion()}`,
  section: 'Shares',
  rows,
  notes: [
    'The requests are those that Linux 6.12 sends for these programs with FUSE 7.36, made by `bench/fs/kernel.ts`; they are not a recording. Requests a second are ours ÷ theirs, CPU times too.',
    'Both have the same driver in JavaScript, which looks at its ring without sleeping, and are told of requests by an eventfd.',
  ],
});
