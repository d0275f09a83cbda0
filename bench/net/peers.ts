/**
 * The user-mode network beside others, in a network namespace of its own with a server beyond it, turn by turn.
 * `node bench/net/peers.ts native|guest [ROUNDS [WORK…]] [--save] [--limits]`: native is this machine's own kernel on a tap, behind our gateway and behind slirp4netns; guest is our kernel on
 * the software CPU, and on QEMU's TCG with `-netdev user`. Wants root; WORK is as of ends.c.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { inTurns, middle, ROOT, ratio, report, type Row } from '../harness.ts';
import { folder } from '../start/process.ts';

const FAR = '192.0.2.2';
const PORT = 9000;
const LIMIT_MS = 600_000;
const [what = 'native', rounds = '5', ...given] = process.argv.slice(2).filter((word) => !word.startsWith('--'));

// The whole in a namespace of its own, whose end ends everything.
if (process.env['VMM_BENCH_NET'] === undefined) {
  const { status } = spawnSync('unshare', ['-n', '-p', '-f', '--mount-proc', '--kill-child', process.execPath, ...process.argv.slice(1)], { stdio: 'inherit', env: { ...process.env, VMM_BENCH_NET: '1' } });
  process.exit(status ?? 1);
}

const run = (command: string, ...args: readonly string[]): string => execFileSync(command, args, { encoding: 'utf8', timeout: LIMIT_MS, stdio: ['ignore', 'pipe', 'inherit'] });
const ip = (words: string): string => run('ip', ...words.split(' '));
const children: ChildProcess[] = [];

/** A process that holds a network namespace. */
function namespace(): number {
  const child = spawn('unshare', ['-n', 'sleep', '100000'], { stdio: 'ignore' });
  children.push(child);
  const own = readlinkSync('/proc/self/ns/net');
  while (readlinkSync(`/proc/${child.pid}/ns/net`) === own);
  run('nsenter', '-t', `${child.pid}`, '-n', 'ip', 'link', 'set', 'lo', 'up');
  return child.pid!;
}

const ends = join(folder, 'ends');
run('gcc', '-O2', '-static', '-Wall', '-o', ends, join(ROOT, 'bench/net/ends.c'));
ip('link set lo up');
const far = namespace();
ip(`link add out0 type veth peer name in0 netns ${far}`);
for (const words of ['addr add 192.0.2.1/24 dev out0', 'link set out0 up']) ip(words);
for (const words of [`addr add ${FAR}/24 dev in0`, 'link set in0 up', 'route add default via 192.0.2.1']) run('nsenter', '-t', `${far}`, '-n', 'ip', ...words.split(' '));
ip(`route add default via ${FAR}`);
children.push(spawn('nsenter', ['-t', `${far}`, '-n', ends, 'serve', `${PORT}`], { stdio: 'inherit' }));

/** Seconds, by work: of the clock, and of the gateway's CPU time where that is known. */
type Taken = Readonly<Record<string, { readonly wall: number; readonly cpu?: number }>>;

function takenOf(text: string, works: readonly string[]): Taken {
  const found = new Map([...text.matchAll(/^((?:get|put|many):[\d:]+) ([\d.]+)\r?$/gm)].map(([, work, seconds]) => [work, Number(seconds)]));
  return Object.fromEntries(works.map((work) => {
    const wall = found.get(work);
    if (wall === undefined) throw new Error(`no ${work} in:\n${text}`);
    return [work, { wall }];
  }));
}

/** User and system time of a process, seconds: proc(5) counts them in ticks of 10 ms. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function native(works: readonly string[]): Promise<Record<string, () => Taken>> {
  const [ours, theirs] = [namespace(), namespace()];
  const gateway = spawn(process.execPath, [join(ROOT, 'test/support/gateway/tap-gateway.ts'), `${ours}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(gateway.stdout, 'data');
  const slirp = spawn('slirp4netns', ['-c', '-m', '65520', '-r', '3', `${theirs}`, 'tap0'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  await once(slirp.stdio[3]!, 'data');
  children.push(gateway, slirp);
  const client = (pid: number, { pid: server = 0 }: ChildProcess) => (): Taken => Object.assign({}, ...works.map((work) => {
    const before = cpuOf(server);
    const taken = takenOf(run('nsenter', '-t', `${pid}`, '-n', ends, FAR, `${PORT}`, work), [work])[work]!;
    return { [work]: { ...taken, cpu: cpuOf(server) - before } };
  })) as Taken;
  return { ours: client(ours, gateway), theirs: client(theirs, slirp) };
}

/** What a machine says until its guest resets it; its status says how that was taken. */
function booted(command: string, ...args: readonly string[]): string {
  return spawnSync(command, args, { encoding: 'utf8', timeout: LIMIT_MS, stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
}

async function guest(works: readonly string[]): Promise<Record<string, () => Taken>> {
  const { guestFile } = (await import(join(ROOT, 'dist', 'vmm.js'))) as typeof import('../../vmm/api/index.ts');
  const tree = join(folder, 'tree');
  for (const dir of ['', 'dev']) mkdirSync(join(tree, dir), { recursive: true });
  const initrd = join(folder, 'ends.cpio');
  run('sh', '-c', `cp ${ends} ${tree}/init && cd ${tree} && find . | /bin/busybox cpio -o -H newc > ${initrd} 2>/dev/null`);
  const kernel = guestFile('vmlinux');
  const line = (console: string): string => `console=${console} quiet panic=-1 reboot=t tsc=reliable ends=${[FAR, PORT, ...works].join(',')}`;
  const common = ['--kernel', kernel, '--initrd', initrd];
  return {
    ours: () => takenOf(booted(process.execPath, '--', join(ROOT, 'bin/vmm.js'), 'boot', '-q', '--accel', 'wasm', '--memory', '128', ...common, '--append', line('hvc0'), '--console', 'hvc', '--exit-on', 'reboot', '--net', 'user'), works),
    theirs: () => takenOf(booted('qemu-system-x86_64', '-M', 'microvm,pit=on,pic=on,rtc=on,isa-serial=on,acpi=off,auto-kernel-cmdline=on', '-accel', 'tcg', '-cpu', 'qemu64', '-m', '128', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio',
      '-kernel', kernel, '-initrd', initrd, '-append', line('ttyS0'), '-netdev', 'user,id=net', '-device', 'virtio-net-device,netdev=net'), works),
  };
}

const works = given.length > 0 ? given : what === 'native' ? ['get:512', 'put:512', 'many:4000:50', 'many:1000:1'] : ['get:64', 'put:64', 'many:100:1'];
const taken = await inTurns(await (what === 'native' ? native(works) : guest(works)), { rounds: Number(rounds) });
const targets: Readonly<Record<string, number>> = what === 'native' ? { get: 1.5, put: 1.5, 'many 50': 1, 'many 1': 0.4 } : { get: 1, put: 1 };
const names = { get: 'host → guest', put: 'guest → host', many: 'connections a second' };

/** How much there is of it, and in what. */
function amount(work: string): { key: string; label: string; count: number; unit: string } {
  const [kind = '', count = '', parallel] = work.split(':');
  const many = kind === 'many';
  return { key: many ? `many ${parallel}` : kind, label: `${names[kind as keyof typeof names]}${many ? (parallel === '1' ? ', one at a time' : `, ${parallel} at once`) : ''}`, count: Number(count) * (many ? 1 : 1.048576), unit: many ? '/s' : 'MB/s' };
}

/** CPU time a gigabyte, or a connection. */
function perUnit(seconds: readonly number[], count: number, unit: string): string {
  const { value } = middle(seconds, 's');
  return unit === '/s' ? `${((1e6 * value) / count).toFixed(0)} µs each` : `${((1000 * value) / count).toFixed(2)} s/GB`;
}

const rows = works.flatMap((work): Row[] => {
  const { key, label, count, unit } = amount(work);
  const rate = (name: string): number[] => (taken[name] ?? []).map((one) => count / one[work]!.wall);
  const [ours, theirs] = [rate('ours'), rate('theirs')];
  const [us, them] = [middle(ours, unit), middle(theirs, unit)];
  const target = targets[key];
  const cpu = (name: string): number[] => (taken[name] ?? []).flatMap((one) => one[work]?.cpu ?? []);
  const [our, their] = [cpu('ours'), cpu('theirs')];
  const spent = our.length === 0 ? [] : [{ what: `${label}: the gateway’s CPU time`, ...ratio(our, their), note: `${perUnit(our, count, unit)} against ${perUnit(their, count, unit)}` }];
  return [{ what: label, ...ratio(ours, theirs), note: `${us.value.toFixed(0)} against ${them.value.toFixed(0)} ${unit}`, ...(target === undefined ? {} : { target: { atLeast: target } }) }, ...spent];
});
report(`net-${what}`, {
  title: what === 'native' ? 'The gateway beside slirp4netns: Linux on a tap' : 'The user-mode network beside QEMU’s (TCG, -netdev user), same kernel', section: 'Network', rows,
  notes: [what === 'native' ? 'Ours has an MTU of 1500 with segments of 64 KiB by the tap’s offloads, slirp4netns one of 65520, as podman gives it.' : 'One guest each round: its own clock, a server beyond the host.'],
});
for (const child of children) child.kill('SIGKILL');
process.exit(process.exitCode ?? 0);
