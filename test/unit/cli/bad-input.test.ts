import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeError, guestLines, oneLine } from '../../../vmm/cli/describe.ts';
import { openDisk } from '../../../vmm/devices/disk/open.ts';
import { VmmError } from '../../../base/errors.ts';
import * as sys from '../../../vmm/host/sys.ts';
import { BIN, ROOT, vmm } from '../../support/cli/cli.ts';
import { multibootKernel } from '../../support/guests/multiboot.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vmm-bad-'));
const env = { VMM_STORE: join(FOLDER, 'store') };
const at = (name: string): string => join(FOLDER, name);

beforeAll(() => {
  const kernel = readFileSync(join(ROOT, '.cache/guest/vmlinux'));
  writeFileSync(at('kernel'), kernel);
  for (const [name, size] of [['head', 40], ['cut', 100_000], ['half', kernel.length >> 1]] as const) writeFileSync(at(name), kernel.subarray(0, size));
  const wrong = Buffer.from(kernel.subarray(0, 4096));
  wrong.writeUInt16LE(0xb7, 18); // e_machine: AArch64
  writeFileSync(at('arm'), wrong);
  const phdrs = Buffer.from(kernel.subarray(0, 4096));
  phdrs.writeBigUInt64LE(0xffff_ffff_ffff_f000n, 32); // e_phoff
  writeFileSync(at('phoff'), phdrs);
  writeFileSync(at('text'), 'hello\n'.repeat(1000));
  writeFileSync(at('empty'), '');
  writeFileSync(at('record'), 'vmm-record 1\nconfig {"memory":1}\n');
  writeFileSync(at('disk'), '');
  truncateSync(at('disk'), 1 << 20);
  writeFileSync(at('tiny'), 'x'.repeat(511));
  mkdirSync(at('dir'));
  mkdirSync(at('root'));
  execFileSync('mkfifo', [at('fifo')]);
  writeFileSync(at('env'), 'GOOD=1\nno name=2\n');
  writeFileSync(at('latin1'), Buffer.from([0x41, 0x3d, 0xff, 0x0a]));
});
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** Arguments (`@x` is a file of the folder), code, and what the line must say. */
type Case = readonly [args: readonly string[], code: string, says: RegExp];

const KERNELS: readonly Case[] = [
  [['boot', '--kernel', '@missing'], 'KERNEL_OPEN', /ENOENT.*--kernel/],
  [['boot', '--kernel', '@dir'], 'KERNEL_OPEN', /dir/],
  [['boot', '--kernel', '@fifo'], 'KERNEL_OPEN', /regular file/],
  [['boot', '--kernel', '@empty'], 'KERNEL_BAD', /empty/],
  [['boot', '--kernel', '@text'], 'KERNEL_BAD', /known format/],
  [['boot', '--kernel', '@head'], 'KERNEL_BAD', /head/],
  [['boot', '--kernel', '@cut'], 'KERNEL_BAD', /cut/],
  [['boot', '--kernel', '@half'], 'KERNEL_BAD', /half/],
  [['boot', '--kernel', '@arm'], 'KERNEL_(BAD|UNSUPPORTED)', /arm/],
  [['boot', '--kernel', '@phoff'], 'KERNEL_BAD', /phoff/],
  [['boot', '--kernel', '@kernel', '--initrd', '@missing'], 'INITRD_OPEN', /ENOENT.*--initrd/],
  [['boot', '--kernel', '@kernel', '--initrd', '@dir'], 'INITRD_OPEN', /dir/],
  [['boot', '--kernel', '@kernel', '--initrd', '@empty'], 'INITRD_BAD', /empty/],
  [['boot', '--kernel', '@kernel', '--append', 'x'.repeat(70_000)], 'CMDLINE_LONG', /--append/],
  [['boot', '--kernel', '@kernel', '--memory', '16m'], 'MEMORY_SMALL', /--memory/],
];

const DISKS: readonly Case[] = [
  [['boot', '--disk', '@missing'], 'DISK_OPEN', /ENOENT/],
  [['boot', '--disk', '@dir'], 'DISK_OPEN', /directory/],
  [['boot', '--disk', '/dev/null'], 'DISK_OPEN', /neither/],
  [['boot', '--disk', '@empty'], 'DISK_SIZE', /0 bytes.*truncate/],
  [['boot', '--disk', '@tiny'], 'DISK_SIZE', /511 bytes/],
  [['boot', '--disk', '@disk', '--disk', '@disk'], 'DISK_BUSY', /,ro/],
  [['boot', '--disk', '@disk,ro', '--disk', '@disk'], 'DISK_BUSY', /another machine/],
  [['boot', '--disk', '@disk,bw=0'], 'USAGE', /not a limit/],
  [['boot', '--disk', '@disk,ops=10:x'], 'USAGE', /not a limit/],
  [['boot', '--icount', '--disk', '@disk,bw=1m'], 'USAGE', /no limits/],
  [['boot', '--disk', ''], 'USAGE', /names no file/],
  [['boot', '--disk', '@disk,cache=none'], 'USAGE', /options: ro, id=ID, bw=/],
  [['boot', '--disk', `@disk,id=${'x'.repeat(21)}`], 'USAGE', /20 bytes/],
  [['boot', ...Array.from({ length: 20 }, () => ['--disk', '@disk,ro']).flat()], 'USAGE', /slots/],
];

const CARDS: readonly Case[] = [
  [['boot', '--net', 'bridge=br0'], 'USAGE', /tap=NAME/],
  [['boot', '--net', 'tap='], 'USAGE', /not a network/],
  [['boot', '--net', 'fd=x'], 'USAGE', /not a network/],
  [['boot', '--net', 'fd=1'], 'USAGE', /not a network/],
  [['boot', '--net', 'container:web'], 'USAGE', /^(?!.*container:NAME).*container:web is not a network/],
  [['boot', '--net', 'none,mac=02:00:00:00:00:01'], 'USAGE', /not there/],
  [['boot', '--net', 'tap=t0,mac=1:2:3'], 'USAGE', /Ethernet address/],
  [['boot', '--net', 'tap=t0,mac=01:00:5e:00:00:01'], 'USAGE', /group/],
  [['boot', '--net', 'tap=t0,mac=00:00:00:00:00:00'], 'USAGE', /no card/],
  [['boot', '--net', 'tap=t0,mtu=67'], 'USAGE', /68 to 65535/],
  [['boot', '--net', 'tap=t0,mtu=65536'], 'USAGE', /68 to 65535/],
  [['boot', '--net', 'tap=t0,rx-bw=x'], 'USAGE', /not a size/],
  [['boot', '--net', 'tap=t0,tx-ops=1.5'], 'USAGE', /not a limit/],
  [['boot', '--net', 'unix=/x,pcap=/nonexistent/x'], 'NET_CAPTURE', /ENOENT/],
  [['boot', '--net', 'tap=t0,speed=10'], 'USAGE', /speed=10/],
  [['boot', '--net', 'tap=a-name-that-is-too-long'], 'NET_NAME', /fifteen/],
  [['boot', '--net', 'tap=tap%d'], 'NET_NAME', /percent/],
  [['boot', '--net', 'tap=a/b'], 'NET_NAME', /slash/],
  [['boot', '--net', 'tap=lo'], 'NET_OPEN', /EINVAL.*no tap/],
  [['boot', '--net', 'fd=789'], 'NET_OPEN', /no such descriptor/],
  [['boot', '--net', 'unix=@missing'], 'NET_OPEN', /ENOENT/],
  [['boot', '--net', 'unix=@text'], 'NET_OPEN', /ECONNREFUSED/],
  [['boot', '--net', `unix=/${'x'.repeat(107)}`], 'NET_NAME', /107 bytes/],
  [['boot', '--icount', '--net', 'tap=t0'], 'ICOUNT_NET', /--icount/],
  [['boot', '--net', 'tap=t0,ip=10.0.0.1/24'], 'USAGE', /not an option of a card/],
  [['run', '--network', 'bridge', '@root', 'x'], 'USAGE', /--network bridge: machines here are in no network with each other .*-p/],
  [['run', '--network', 'mine', '@root', 'x'], 'USAGE', /--network mine: .*tap=NAME/],
  [['run', '--network', 'host', '@root', 'x'], 'USAGE', /--network host: .*host-gateway/],
  [['run', '--network', 'container:web', '--icount', '@root', 'x'], 'USAGE', /container:NAME: .*has a machine of its own/],
  [['run', '--network', 'none', '--network', 'user', '@root', 'x'], 'USAGE', /cannot attach both user-defined and non-user-defined network-modes/],
  [['run', '--network', 'none', '--network-alias', 'db', '@root', 'x'], 'USAGE', /--network-alias db needs a network/],
  [['run', '--network-alias', 'a b', '@root', 'x'], 'USAGE', /not a host name/],
  [['run', '--expose', '70000', '@root', 'x'], 'USAGE', /--expose: 70000 are no ports/],
  [['run', '--expose', '80/sctp', '@root', 'x'], 'USAGE', /--expose: 80\/sctp is not a port/],
  [['run', '-P', '--expose', '1000-9000', '@root', 'x'], 'USAGE', /-P: 1025 ports, of which 1024/],
  [['run', '-P', '--expose', '80', '--network', 'none', '@root', 'x'], 'USAGE', /-p needs --network user/],
  [['run', '--ip', '10.0.2.2', '@root', 'x'], 'USAGE', /--ip: 10\.0\.2\.2 is the gateway’s address/],
  [['run', '--ip', '10.0.2.3', '@root', 'x'], 'USAGE', /--ip: 10\.0\.2\.3 is the resolver’s address/],
  [['run', '--ip', '10.0.2.0', '@root', 'x'], 'USAGE', /network 10\.0\.2\.0\/24 as a whole/],
  [['run', '--network', 'user,ip=192.168.7.255/24', '@root', 'x'], 'USAGE', /as a whole/],
  [['run', '--network', 'user,ip=fd00::/64', '@root', 'x'], 'USAGE', /as a whole/],
  [['run', '--network', 'tap=t0,ip=10.0.0.1', '@root', 'x'], 'USAGE', /with its network/],
  [['run', '--network', 'tap=t0,ip=10.0.0.1/33', '@root', 'x'], 'USAGE', /with its network/],
  [['run', '--network', 'tap=t0,gw=10.0.0.1', '@root', 'x'], 'USAGE', /in no network of the card/],
  [['run', '--network', 'unix=/x', '--ip', '10.0.0.2', '@root', 'x'], 'USAGE', /ip=10\.0\.0\.2\/24/],
  [['run', '--network', 'none', '--ip', '10.0.2.9', '@root', 'x'], 'USAGE', /needs a network/],
  [['run', '--ip', '10.0.0.2', '@root', 'x'], 'USAGE', /not in the user-mode network/],
  [['run', '--network', 'none', '-p', '8080', '@root', 'x'], 'USAGE', /-p needs --network user or passt/],
  [['run', '-p', '1-3:80-81', '@root', 'x'], 'USAGE', /3 ports of the host for 2 of the guest/],
  [['run', '-p', '70000:80', '@root', 'x'], 'USAGE', /1 to 65535/],
  [['run', '-p', '80/sctp', '@root', 'x'], 'USAGE', /tcp or udp/],
  [['run', '-p', '1.2.3:80:80', '@root', 'x'], 'USAGE', /not an IP address/],
  [['run', '-p', 'x', '@root', 'x'], 'USAGE', /not a port/],
  [['run', '--ip', 'fd00::1%eth0', '@root', 'x'], 'USAGE', /not an IP address/],
  [['run', '--dns', 'one', '@root', 'x'], 'USAGE', /not an IP address/],
  [['run', '--dns-search', 'a b', '@root', 'x'], 'USAGE', /one word/],
  [['run', '--add-host', 'db', '@root', 'x'], 'USAGE', /NAME:ADDRESS/],
];

const OPTIONS: readonly Case[] = [
  [['boot', '--memory', '0'], 'USAGE', /too little/],
  [['boot', '--memory', '15m'], 'USAGE', /16m/],
  [['boot', '--memory', '3073m'], 'USAGE', /3072m/],
  [['boot', '--memory', '99999999999t'], 'USAGE', /3072m/],
  [['boot', '--mem', '-5'], 'USAGE', /not a size/],
  [['boot', '--memory', '1e3'], 'USAGE', /not a size/],
  [['boot', '--memory'], 'USAGE', /needs a value/],
  [['boot', '--cpus', '0'], 'USAGE', /1 to 32/],
  [['boot', '--cpus', '33'], 'USAGE', /1 to 32/],
  [['boot', '--cpus', '1.5'], 'USAGE', /1 to 32/],
  [['boot', '--console', 'vga'], 'USAGE', /serial, hvc, none/],
  [['boot', '--accel', 'hvf'], 'USAGE', /auto, kvm, wasm/],
  [['boot', '--cpu', 'pentium'], 'USAGE', /baseline/],
  [['boot', '--timeout', '0'], 'USAGE', /not a time/],
  [['boot', '--timeout', '99999999h'], 'USAGE', /not a time/],
  [['boot', '--exit-on', 'sunrise'], 'USAGE', /reboot or port/],
  [['boot', '--trace', 'everything'], 'USAGE', /pio, mmio, irq, virtio/],
  [['boot', '--trace', 'pio', '--trace-file', '/nonexistent/x'], 'TRACE_OPEN', /ENOENT.*--trace-file/],
  [['boot', '--trace', 'pio', '--trace-file', '@dir'], 'TRACE_OPEN', /EISDIR/],
  [['boot', '--timelnie'], 'USAGE', /did you mean --timeline/],
  [['boot', '-Z'], 'USAGE', /unknown option -Z/],
  [['boot', 'vmlinux'], 'USAGE', /--kernel/],
  [['run'], 'USAGE', /needs an image/],
  [['run', '--memory', '512', '@root', 'x'], 'USAGE', /no unit.*512m/],
  [['run', '--memory', '4g', '@root', 'x'], 'USAGE', /3072m/],
  [['run', '--cpus', '0', '@root', 'x'], 'USAGE', /0\.01 to 32/],
  [['run', '--cpus', '64', '@root', 'x'], 'USAGE', /0\.01 to 32/],
  [['run', '--name', '../x', '@root', 'x'], 'USAGE', /--name/],
  [['run', '--name', '', '@root', 'x'], 'USAGE', /--name/],
  [['run', '--hostname', '-x', '@root', 'x'], 'USAGE', /--hostname/],
  [['run', '-h', 'x'.repeat(65), '@root', 'x'], 'USAGE', /at most 64/],
  [['run', '--ulimit', 'nofile', '@root', 'x'], 'USAGE', /SOFT/],
  [['run', '--ulimit', 'nofile=2:1', '@root', 'x'], 'USAGE', /above the hard/],
  [['run', '--cap-add', 'SYS_ROOT', '@root', 'x'], 'USAGE', /capabilities\(7\)/],
  [['run', '--stop-signal', 'SIGFOO', '@root', 'x'], 'USAGE', /not a signal/],
  [['run', '--detach-keys', 'ctrl-', '@root', 'x'], 'USAGE', /detach-keys/],
  [['run', '--tmpfs', 'run', '@root', 'x'], 'USAGE', /absolute/],
  [['run', '--tmpfs', '/a/..', '@root', 'x'], 'USAGE', /hide the image/],
  [['run', '--tmpfs', '/run:colour=red', '@root', 'x'], 'USAGE', /colour=red/],
  [['run', '--scratch', '63m', '@root', 'x'], 'USAGE', /64m or more/],
  [['run', '-e', '=x', '@root', 'x'], 'USAGE', /no name/],
  [['run', '--env-file', '@missing', '@root', 'x'], 'USAGE', /ENOENT/],
  [['run', '--env-file', '@dir', '@root', 'x'], 'USAGE', /EISDIR/],
  [['run', '--env-file', '/dev/zero', '@root', 'x'], 'USAGE', /larger than/],
  [['run', '--env-file', '@env', '@root', 'x'], 'USAGE', /white space/],
  [['run', '--env-file', '@latin1', '@root', 'x'], 'USAGE', /UTF-8/],
  [['run', '--env-file', '@fifo', '@root', 'x'], 'USAGE', /nobody writes/],
  [['run', '--ulimit', 'nofile=1048577', '@root', 'x'], 'USAGE', /nofile goes up to 1048576/],
  [['run', '--egress-policy', '@fifo', '@root', 'x'], 'USAGE', /--egress-policy: .*nobody writes/],
  [['run', '--egress-policy', '/dev/zero', '@root', 'x'], 'USAGE', /larger than/],
  [['run', '--gpus', 'all', '@root', 'x'], 'USAGE', /--gpus of Docker is not supported yet/],
  [['run', '--network', 'host', '@root', 'x'], 'USAGE', /--network host: the container has a machine of its own/],
  [['run', '--link', 'db', '@root', 'x'], 'USAGE', /--link of Docker is not supported yet/],
  [['boot', '--symbols', '@fifo'], 'SYMBOLS_OPEN', /regular file/],
  [['boot', '--symbols', '/dev/zero'], 'SYMBOLS_OPEN', /regular file/],
  [['run', '-it', '@root', 'x'], 'USAGE', /not a terminal/],
  [['run', '@root'], 'USAGE', /no command/],
];

/** Standard input of these runs is an empty pipe. */
const COUNTED: readonly Case[] = [
  [['boot', '--icount=11'], 'USAGE', /0 to 10/],
  [['boot', '--icount=-1'], 'USAGE', /0 to 10/],
  [['boot', '--icount='], 'USAGE', /needs a value/],
  [['boot', '--icount', '--rtc', '2026-02-31T00:00:00Z'], 'USAGE', /1970 to 2106/],
  [['boot', '--trace-file', '@trace'], 'USAGE', /needs --trace/],
  [['boot', '--icount=x'], 'USAGE', /0 to 10.*2\^N/],
  [['boot', '--icount', '--accel', 'kvm'], 'USAGE', /software CPU/],
  [['boot', '--icount', '--cpu', 'host'], 'USAGE', /baseline/],
  [['boot', '--seed', '1'], 'USAGE', /needs --icount/],
  [['run', '--rtc', '1', '@root', 'x'], 'USAGE', /needs --icount/],
  [['boot', '--stop-at', '1'], 'USAGE', /needs --icount/],
  [['boot', '--trace', 'exec', '--trace-file', '@trace'], 'USAGE', /needs --icount/],
  [['boot', '--icount', '--seed', '-1'], 'USAGE', /whole number/],
  [['boot', '--icount', '--seed', '18446744073709551616'], 'USAGE', /18446744073709551615/],
  [['boot', '--icount', '--rtc', 'yesterday'], 'USAGE', /1970 to 2106/],
  [['boot', '--icount', '--rtc', '4294967296'], 'USAGE', /1970 to 2106/],
  [['boot', '--icount', '--rtc', '2026-13-01T00:00:00Z'], 'USAGE', /1970 to 2106/],
  [['boot', '--icount', '--stop-at', '1e6'], 'USAGE', /whole number/],
  [['boot', '--icount', '--record', '@a', '--replay', '@b'], 'USAGE', /exclude/],
  [['boot', '--icount', '--record', '@dir'], 'RECORD_OPEN', /EISDIR.*--record/],
  [['boot', '--icount', '--replay', '@missing'], 'REPLAY_OPEN', /ENOENT.*--replay/],
  [['boot', '--icount', '--replay', '@dir'], 'REPLAY_OPEN', /regular file|EISDIR/],
  [['boot', '--icount', '--replay', '@fifo'], 'REPLAY_OPEN', /regular file/],
  [['boot', '--icount', '--replay', '@kernel'], 'REPLAY_BAD', /line 1/],
  [['boot', '--icount', '--replay', '@record'], 'REPLAY_OTHER', /another/],
  [['run', '--icount', '-i', '@root', 'x'], 'ICOUNT_INPUT', /-i.*--record/],
  [['run', '--icount', '-t', '@root', 'x'], 'ICOUNT_INPUT', /-t.*--record/],
];

const IMAGES: readonly Case[] = [
  [['run', '--pull', 'never', 'docker://debian', 'x'], 'IMAGE_NOT_FOUND', /no image debian in the store/],
  [['run', '--pull', 'sometimes', 'debian', 'x'], 'USAGE', /--pull/],
  [['run', '--platform', 'linux/arm64', 'debian', 'x'], 'IMAGE_PLATFORM', /linux\/arm64/],
  [['run', 'Debian', 'x'], 'IMAGE_REFERENCE', /lower case/],
  [['pull'], 'USAGE', /one name or more/],
  [['pull', 'a b'], 'IMAGE_REFERENCE', /a b/],
  [['pull', 'a@sha256:1'], 'IMAGE_REFERENCE', /digest/],
  [['login', '-u', 'x', 'bad host'], 'IMAGE_REFERENCE', /bad host/],
  [['login', '-u', 'x', '--password-stdin', 'localhost:1'], 'USAGE', /password is empty/],
  [['image', 'tags', 'UPPER'], 'IMAGE_REFERENCE', /lower case/],
  [['run', '--pull', 'never', 'no-such-image', 'x'], 'IMAGE_NOT_FOUND', /oci:DIR/],
  [['run', '', 'x'], 'IMAGE_REFERENCE', /empty/],
  [['run', '@missing', 'x'], 'IMAGE_OPEN', /does not exist/],
  [['run', '@text', 'x'], 'IMAGE_TAR_HEADER', /not a tar/],
  [['run', '@empty', 'x'], 'IMAGE_BAD', /empty/],
  [['run', '@kernel', 'x'], 'IMAGE_BAD', /vmm boot --kernel/],
  [['run', '@fifo', 'x'], 'IMAGE_OPEN', /neither/],
  [['run', 'oci:@dir', 'x'], 'IMAGE_BAD', /not an OCI layout/],
  [['image'], 'USAGE', /ls, import/],
  [['image', 'tree', 'debian'], 'USAGE', /unknown image command tree \(.*vmm image history/],
  [['image', 'constructor'], 'USAGE', /unknown image command/],
  [['image', 'ls', 'x', 'y'], 'USAGE', /at most one name/],
  [['image', 'import'], 'USAGE', /an image/],
  [['image', 'import', '@root', 'bad name'], 'USAGE', /not an image name/],
  [['image', 'import', 'debian'], 'IMAGE_NOT_FOUND', /not a path/],
  [['image', 'history', 'x'], 'IMAGE_NOT_FOUND', /vmm image ls/],
  [['image', 'rm'], 'USAGE', /one image or more/],
  [['image', 'rm', 'x'], 'IMAGE_NOT_FOUND', /vmm image ls/],
  [['image', 'prune', '--al'], 'USAGE', /did you mean --all/],
  [['accel', 'x'], 'USAGE', /no argument/],
  [['brew'], 'USAGE', /commands: run, boot/],
];

async function check([args, code, says]: Case): Promise<void> {
  const given = args.map((arg) => arg.replace(/^((?:oci:|unix=)?)@/, `$1${FOLDER}/`));
  const { status, stdout, stderr } = await vmm(given, { env });
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('vmm: using the software CPU'));
  expect(lines, stderr).toHaveLength(1);
  expect(lines[0]).toMatch(new RegExp(`^vmm: .+ \\(.+\\) \\[${code}\\]$`));
  expect(lines[0]).toMatch(says);
  expect(status).toBe(125);
  expect(stdout.length).toBe(0);
}

/** Two at a time: each is a process. */
async function checkAll(cases: readonly Case[]): Promise<void> {
  const failures: string[] = [];
  const todo = [...cases];
  const work = async (): Promise<void> => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      await check(next).catch((error: Error) => failures.push(`vmm ${next?.[0].join(' ').slice(0, 200)}: ${error.message}`));
    }
  };
  await Promise.all([work(), work()]);
  expect(failures).toEqual([]);
}

describe('bad input gives status 125 and one line with hint and code', () => {
  const limit = 300_000;
  it('kernels, initrds, command lines', () => checkAll(KERNELS), limit);
  it('disks', () => checkAll(DISKS), limit);
  it('cards', () => checkAll(CARDS), limit);
  it('options', () => checkAll(OPTIONS), limit);
  it('images', () => checkAll(IMAGES), limit);
  it('runs that repeat', () => checkAll(COUNTED), limit);
  it('input that nothing records', async () => {
    const { status, stderr } = await vmm(['boot', '-q', '--icount'], { stdin: 'x' });
    expect({ status, stderr }).toEqual({ status: 125, stderr: expect.stringMatching(/^vmm: .*standard input.*--record.* \[ICOUNT_INPUT\]\n$/) });
  });
});

describe('help', () => {
  it.each([['--help'], ['-h'], ['help'], ['run', '--help'], ['run', '-h'], ['boot', '--help'], ['boot', '-h'], ['image', '--help'], ['image', '-h'], ['image', 'ls', '--help'], ['accel', '-h']])('vmm %s %s', async (...args) => {
    const { status, stdout, stderr } = await vmm(args.filter((arg) => arg !== undefined), { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.toString()).toMatch(/^Usage: vmm /);
  });
});

/** Runs the CLI below a shell: for descriptors and bytes that Node's spawn does not give. */
function shell(script: string): { status: number | null; stdout: string; stderr: string } {
  const result = spawnSync('bash', ['-c', script], { env: { ...process.env, NODE_OPTIONS: '', ...env, XDG_CACHE_HOME: at('cache'), VMM: `${process.execPath} -- ${BIN}` }, encoding: 'utf8' });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

describe('standard output', () => {
  it.each(['--help', 'version', 'image ls', 'image prune', 'accel', 'run --help'])('of `vmm %s` on a full disk: one line, 125', (command) => {
    expect(shell(`$VMM ${command} >/dev/full`)).toEqual({ status: 125, stdout: '', stderr: 'vmm: standard output cannot be written: ENOSPC (the disk is full) [OUTPUT_WRITE]\n' });
  });

  it('whose reader has gone ends the command as SIGPIPE does', () => {
    expect(shell('{ sleep 0.3; $VMM run --help; echo $? >&2; } | true')).toEqual({ status: 0, stdout: '', stderr: '141\n' });
  });
});

describe('bytes that are not UTF-8', () => {
  it('are refused by name', () => {
    expect(shell(`$VMM run ${at('root')} echo $'a\\xffb'`)).toEqual({ status: 125, stdout: '', stderr: expect.stringMatching(/^vmm: argument 4 is not UTF-8: a\\xffb \(.*\) \[USAGE\]\n$/) });
    expect(shell(`X=$'\\xfe' $VMM run -e X ${at('root')} true`).stderr).toMatch(/variable X is not UTF-8: \\xfe/);
    expect(shell(`VMM_STORE=$'/tmp/\\xff' $VMM image ls`).stderr).toMatch(/variable VMM_STORE is not UTF-8/);
    // U+FFFD itself is UTF-8.
    expect(shell("$VMM run --pull never no-such-image echo '\ufffd'").stderr).toMatch(/IMAGE_NOT_FOUND/);
  });
});

describe('words of other programs', () => {
  it('vmm -v is the version, image list is ls, harmless options of Docker are taken', () => {
    expect(shell('$VMM -v').stdout).toMatch(/^vmm \d/);
    expect(shell('$VMM image list').stdout).toBe(shell('$VMM image ls').stdout);
    expect(shell('$VMM run --label a=b --network none --pull never --platform linux/amd64 --restart no no-such-image x').stderr).toMatch(/IMAGE_NOT_FOUND/);
  });
});

describe('the note about the software CPU', () => {
  it('comes once a day, with --verbose always, with -q never', () => {
    const kernel = at('multiboot');
    multibootKernel(kernel);
    const boot = (...options: string[]): boolean => /using the software CPU/.test(shell(`$VMM boot ${options.join(' ')} -m 32 --exit-on port --kernel ${kernel}`).stderr);
    expect([boot('-q'), boot(), boot(), boot('-v')]).toEqual([false, true, false, true]);
  });
});

describe('disks are locked', () => {
  it('one may write, or many may read', () => {
    const path = at('disk');
    const open = (readOnly: boolean): (() => void) => {
      const { fd } = openDisk({ path, readOnly, id: 'x' });
      return () => closeSync(fd);
    };
    const readers = [open(true), open(true)];
    expect(() => open(false)).toThrow(expect.objectContaining({ code: 'DISK_BUSY' }));
    for (const close of readers) close();
    const writer = open(false);
    for (const readOnly of [true, false]) expect(() => open(readOnly)).toThrow(expect.objectContaining({ code: 'DISK_BUSY' }));
    writer();
    open(false)();
  });

  it('against other processes', async () => {
    const fd = openSync(at('disk'), 'r');
    try {
      expect(sys.flock(fd, 2 | 4)).toBe(true);
      await check([['boot', '--disk', '@disk'], 'DISK_BUSY', /stop that machine/]);
    } finally {
      closeSync(fd);
    }
  });
});

describe('lines of errors', () => {
  it('show control characters instead of sending them', () => {
    expect(describeError(new VmmError('X', 'a\u001b[31mb\nc\u009bd\u202e', { hint: 'e\r' }))).toBe('vmm: a\\u{1b}[31mb\\nc\\u{9b}d\\u{202e} (e\\u{d}) [X]\n');
  });

  it('of a guest are marked, and show what they would do to a terminal', () => {
    expect(guestLines('ok\r\n\u001b]0;x\u0007\nvmm: forged [USAGE]\n')).toBe('guest: ok\nguest: \\u{1b}]0;x\\u{7}\nguest: vmm: forged [USAGE]\n');
    expect(guestLines('')).toBe('');
  });

  it('are bounded', () => {
    expect(oneLine('x'.repeat(100_000)).length).toBeLessThan(3000);
  });
});
