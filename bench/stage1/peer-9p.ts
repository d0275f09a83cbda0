/**
 * A pod of our stage1 against QEMU as rkt's kvm flavour starts it, on the software CPU and under TCG: from the first guest instruction to what the app says
 * first. `node bench/stage1/peer-9p.ts [--pairs 9] [--save]`. As root, after `guest-kernel/kernel/variant.sh 9p`, whose kernel both run; a last row has the kernel
 * that is shipped.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, ratio, report, ROOT } from '../harness.ts';
import { env, folder } from '../start/process.ts';
import { median } from '../statistics.ts';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '9' }, save: { type: 'boolean' } } });
const rounds = Number(values.pairs);
const LIMIT_MS = 120_000;
const MEMORY_MIB = 512;
const kernel = join(ROOT, '.cache/guest/vmlinux.9p');
if (!existsSync(kernel)) throw new Error(`${kernel} is not there: guest-kernel/kernel/variant.sh 9p`);
execFileSync(process.execPath, [join(ROOT, 'scripts/stage1.mjs'), '--layout-only'], { stdio: 'inherit' });
const image = join(ROOT, '.cache/stage1/layout/rootfs');

/** System calls and nothing else: what it costs to execute one is the same everywhere. */
const CALLS = `static long call(long n, const void *a, const void *b, const void *c) {
  long r; __asm__ volatile("syscall" : "=a"(r) : "0"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
`;
/** The app: it says that it runs, and ends. */
const APP = `${CALLS}void _start(void) { call(1, (void *)1, "runs\\n", (void *)5); call(60, 0, 0, 0); for (;;); }`;
/** What is process 1 with QEMU: it enters the app's root and executes the app. rkt's systemd does more. */
const ENTERS = `${CALLS}void _start(void) { static const char *const argv[] = { "/app", 0 }, *const envp[] = { 0 };
  call(161, "/opt/stage2/app/rootfs", 0, 0); call(80, "/", 0, 0); call(59, "/app", argv, envp); for (;;); }`;

function program(path: string, source: string): void {
  execFileSync('gcc', ['-static', '-nostdlib', '-O1', '-fno-stack-protector', '-x', 'c', '-', '-o', path], { input: source, timeout: LIMIT_MS });
}

/** A pod's directory without an overlay, as stage0 leaves it; `kernelFile`: instead of the image's kernel. */
function pod(uuid: string, kernelFile?: string): string {
  const dir = join(folder, uuid);
  const s1 = join(dir, 'stage1/rootfs');
  const app = join(s1, 'opt/stage2/app');
  mkdirSync(join(app, 'rootfs'), { recursive: true });
  execFileSync('cp', ['-al', `${image}/.`, s1]);
  if (kernelFile !== undefined) {
    rmSync(join(s1, KERNEL));
    copyFileSync(kernelFile, join(s1, KERNEL));
  }
  mkdirSync(join(s1, 'dev'), { recursive: true });
  program(join(app, 'rootfs/app'), APP);
  program(join(s1, 'enters'), ENTERS);
  const labels = [{ name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }];
  const isolators = [{ name: 'resource/cpu', value: { limit: '1' } }];
  writeFileSync(join(app, 'manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.com/app', labels, app: { exec: ['/app'], user: '0', group: '0', isolators } }));
  writeFileSync(join(dir, 'pod'), JSON.stringify({ acVersion: '1.30.0', acKind: 'PodManifest', apps: [{ name: 'app', image: { name: 'example.com/app', id: `sha512-${'0'.repeat(64)}` } }] }));
  return dir;
}

const KERNEL = 'vmm/.cache/guest/vmlinux';
const [VARIANT, SHIPPED] = ['00000000-1111-4222-8333-444444444445', '00000000-1111-4222-8333-444444444446'];
const pods = { [VARIANT]: pod(VARIANT, kernel), [SHIPPED]: pod(SHIPPED) };

/** When the app is heard, and all of standard error; the process is ended then. */
async function heard(child: ChildProcess): Promise<{ at: number; stderr: string }> {
  let [stdout, stderr, at] = ['', '', 0];
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  child.stderr?.on('data', (bytes: Buffer) => { stderr += bytes.toString(); });
  child.stdout?.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
    if (at === 0 && stdout.includes('runs')) at = performance.now();
    // QEMU's guest has nothing to end with: process 1 does, which is a panic.
    if (at !== 0 && child.spawnfile.startsWith('qemu')) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  if (at === 0) throw new Error(`${child.spawnfile}: the app was not heard: ${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  return { at, stderr };
}

/** The entry point `run`, its own count of the time to the guest's first instruction taken off. */
async function ours(uuid: string): Promise<number> {
  const dir = pods[uuid] as string;
  const start = performance.now();
  const child = spawn(join(dir, 'stage1/rootfs/run'), ['--debug', '--net=none', uuid], { cwd: dir, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe'] });
  const { at, stderr } = await heard(child);
  const entry = Number(/([\d.]+) ms.*first guest entry/.exec(stderr)?.[1]);
  if (!(entry > 0)) throw new Error(`no first guest entry in: ${stderr}`);
  return at - start - entry;
}

/** QEMU stands still until it is told to go on. rkt's has PCI and KVM; this kernel has no PCI, so that it is microvm with the same devices. */
async function theirs(): Promise<number> {
  const control = join(folder, 'qmp');
  rmSync(control, { force: true });
  const line = 'root=/dev/root rootfstype=9p rootflags=trans=virtio,version=9p2000.L,cache=mmap rw console=hvc0 init=/enters no_timer_check noreplace-smp tsc=reliable quiet panic=-1';
  const child = spawn('qemu-system-x86_64', ['-M', 'microvm,pit=on,pic=on,rtc=on,isa-serial=off,acpi=off,auto-kernel-cmdline=on', '-accel', 'tcg', '-cpu', 'qemu64', '-smp', '1', '-m', `${MEMORY_MIB}`,
    '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-S', '-qmp', `unix:${control},server=on,wait=off`, '-kernel', kernel, '-append', line,
    '-fsdev', `local,id=root,path=${join(pods[VARIANT] as string, 'stage1/rootfs')},security_model=none`, '-device', 'virtio-9p-device,fsdev=root,mount_tag=/dev/root',
    '-chardev', 'stdio,id=console,signal=off', '-device', 'virtio-serial-device', '-device', 'virtconsole,chardev=console'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = heard(child);
  end.catch(() => {});
  while (!existsSync(control) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  const socket = connect(control);
  await new Promise((resolve) => socket.once('data', resolve));
  socket.write('{"execute":"qmp_capabilities"}\n');
  await new Promise((resolve) => socket.once('data', resolve));
  const start = performance.now();
  socket.write('{"execute":"cont"}\n');
  socket.on('error', () => {});
  return (await end).at - start;
}

const taken = await inTurns({ ours: () => ours(VARIANT), theirs, shipped: () => ours(SHIPPED) }, { rounds });
const said = (list: readonly number[]): string => `${median(list).toFixed(0)} ms, QEMU ${median(taken.theirs).toFixed(0)} ms`;
const what = 'first guest instruction → the app is heard, against QEMU (TCG, microvm) with a 9p root';
report('stage1-9p', {
  title: 'A pod of our stage1, and QEMU as rkt’s kvm flavour starts it', section: 'Pods', command: `node bench/stage1/peer-9p.ts --pairs ${rounds}`,
  rows: [
    { what: `${what}, one kernel for both`, ...ratio(taken.ours, taken.theirs), target: { atMost: 0.7 }, note: said(taken.ours) },
    { what: `${what}, ours with the kernel that is shipped`, ...ratio(taken.shipped, taken.theirs), note: said(taken.shipped) },
  ],
});
