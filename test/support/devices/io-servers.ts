/** Program of bench/io/servers.mjs: the I/O thread with io_uring against the one whose system calls block, turn by turn, one line a test. */
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { IoMachine } from './io-machine.ts';

const [path = '', distUrl = '', rounds = '7'] = process.argv.slice(2);
const dist = new URL(distUrl);
const T_IN = 0;
const T_OUT = 1;
const T_FLUSH = 4;

interface Test {
  readonly name: string;
  readonly type: number;
  readonly depth: number;
  readonly size: number;
  readonly count: number;
  readonly random: boolean;
  readonly cold?: boolean;
}
const TESTS: readonly Test[] = [
  { name: '4 KiB random read, depth 1, cached', type: T_IN, depth: 1, size: 4096, count: 20_000, random: true },
  { name: '4 KiB random read, depth 32, cached', type: T_IN, depth: 32, size: 4096, count: 60_000, random: true },
  { name: '4 KiB random read, depth 1, cold', type: T_IN, depth: 1, size: 4096, count: 1500, random: true, cold: true },
  { name: '4 KiB random read, depth 32, cold', type: T_IN, depth: 32, size: 4096, count: 6000, random: true, cold: true },
  { name: '1 MiB sequential read, depth 1, cached', type: T_IN, depth: 1, size: 1 << 20, count: 512, random: false },
  { name: '1 MiB sequential read, depth 4, cold', type: T_IN, depth: 4, size: 1 << 20, count: 256, random: false, cold: true },
  { name: '4 KiB random write, depth 1', type: T_OUT, depth: 1, size: 4096, count: 10_000, random: true },
  { name: '4 KiB random write, depth 32', type: T_OUT, depth: 32, size: 4096, count: 20_000, random: true },
  { name: '1 MiB sequential write, depth 4', type: T_OUT, depth: 4, size: 1 << 20, count: 256, random: false },
];

const fd = openSync(path, 'r+');
const { size } = fstatSync(fd);
const disk = { path, readOnly: false, id: 'bench', fd, size };

/** Seconds that a test takes; its last request is a flush when it wrote. */
function run(machine: IoMachine, test: Test): number {
  let seed = 12345;
  let next = 0;
  const blocks = Math.floor(size / test.size);
  const submit = (n: number): void => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    machine.driver.submit(n, test.type, (test.random ? seed % blocks : next % blocks) * test.size, test.size);
    next++;
  };
  const start = process.hrtime.bigint();
  for (let n = 0; n < test.depth; n++) submit(n);
  machine.kick();
  for (let done = 0; done < test.count; ) {
    let again = false;
    done += machine.driver.take((n, status) => {
      if (status !== 0) throw new Error(`${test.name}: status ${status}`);
      if (next < test.count) {
        submit(n);
        again = true;
      }
    });
    if (again) machine.kick();
    else if (done < test.count) machine.interrupt();
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (test.type === T_OUT) {
    machine.driver.submit(0, T_FLUSH, 0, 0);
    machine.kick();
    while (machine.driver.take(() => {}) === 0) machine.interrupt();
  }
  return seconds;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
const only = process.argv[5];
for (const test of TESTS) {
  if (only !== undefined && !test.name.includes(only)) continue;
  const taken: Record<'ring' | 'blocking', number[]> = { ring: [], blocking: [] };
  const machines = { ring: new IoMachine(dist, disk, false), blocking: new IoMachine(dist, disk, true) };
  for (let round = -1; round < Number(rounds); round++) {
    for (const kind of round % 2 === 0 ? (['ring', 'blocking'] as const) : (['blocking', 'ring'] as const)) {
      // GNU dd's way to ask for the file to leave the page cache.
      if (test.cold) spawnSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
      const seconds = run(machines[kind], test);
      if (round >= 0) taken[kind].push(seconds);
    }
  }
  await machines.ring.stop();
  await machines.blocking.stop();
  const [ring, blocking] = [median(taken.ring), median(taken.blocking)];
  const ratio = median(taken.ring.map((seconds, i) => (taken.blocking[i] as number) / seconds));
  const rate = (seconds: number): string => (test.size > 4096 ? `${((test.count * test.size) / seconds / 2 ** 20).toFixed(0)} MiB/s` : `${(test.count / seconds / 1000).toFixed(1)} k/s`);
  process.stdout.write(`${test.name.padEnd(42)} io_uring ${rate(ring).padStart(12)}   blocking ${rate(blocking).padStart(12)}   ratio ${ratio.toFixed(2)}\n`);
}
closeSync(fd);
