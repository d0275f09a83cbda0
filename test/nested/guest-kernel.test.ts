// The guest's kernel by itself, under QEMU's TCG: it boots with 1, 2 and 4 CPUs and has what containers ask for.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cache } from '../../scripts/lib.mjs';
import { HANG_MS } from '../support/limits.ts';

const BOOT_LIMIT_MS = HANG_MS;

// Each line is "KEY VALUE"; the last one before the reset is "end".
const GUEST_SCRIPT = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
mount -t cgroup2 cgroup2 /sys/fs/cgroup && echo mounted cgroup2
echo cpus $(nproc)
echo release $(uname -r)
for fs in $(sed 's/^nodev//' /proc/filesystems); do echo filesystem $fs; done
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do echo controller $controller; done
for ns in $(ls /proc/self/ns); do echo namespace $ns; done
for node in fuse loop-control net/tun vsock hwrng ptmx kmsg ptp0 hvc0; do [ -e /dev/$node ] && echo node $node; done
mkdir -p /t /pts
mount -t tmpfs tmpfs /t
mkdir /t/lower /t/upper /t/work /t/root
echo below > /t/lower/file
mount -t overlay -o lowerdir=/t/lower,upperdir=/t/upper,workdir=/t/work overlay /t/root && echo above > /t/root/file && echo overlay $(cat /t/lower/file) $(cat /t/root/file)
mount -t devpts -o newinstance devpts /pts && echo mounted devpts
mount -t mqueue mqueue /pts && echo mounted mqueue
unshare -m -u -i -n -p -f -U -r sh -c 'hostname inner; echo unshared $(hostname) $$ $(id -u)'
ip link add br0 type bridge && echo link bridge
ip link add v0 type veth && echo link veth
ip link add d0 type dummy && echo link dummy
ip link add m0 link d0 type macvlan && echo link macvlan
ip link add l0 link d0 type vlan id 5 && echo link vlan
ip link add x0 type vxlan id 3 dstport 4789 && echo link vxlan
for name in $(cat /proc/net/ip_tables_targets /proc/net/ip6_tables_targets); do echo target $name; done
for name in $(cat /proc/net/ip_tables_matches); do echo match $name; done
i386
for key in net/ipv6 net/netfilter/nf_conntrack_max net/bridge/bridge-nf-call-iptables kernel/unprivileged_bpf_disabled net/core/bpf_jit_enable kernel/io_uring_disabled fs/fanotify/max_user_marks fs/inotify/max_user_watches fs/aio-max-nr kernel/shmmax fs/mqueue/msg_max vm/swappiness kernel/seccomp/actions_avail; do [ -e /proc/sys/$key ] && echo sysctl $key; done
echo hugepages $(cat /sys/kernel/mm/transparent_hugepage/enabled)
echo disk $(head -c 4 /dev/vda)
dmesg -r | sed -n 's/^<[0-3]>/trouble /p'
dmesg | grep -E 'rcu.*stall|BUG|WARNING' | sed 's/^/trouble /'
echo end
reboot -f
`;

const I386_PROGRAM = `
.globl _start
_start: movl $4, %eax; movl $1, %ebx; movl $message, %ecx; movl $(end - message), %edx; int $0x80
	movl $1, %eax; xorl %ebx, %ebx; int $0x80
.data
message: .ascii "program i386\\n"
end:
`;

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'vmm-kernel-test-'));
  const tree = join(work, 'tree');
  for (const directory of ['bin', 'dev', 'proc', 'sys']) mkdirSync(join(tree, directory), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  for (const applet of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).split('\n')) {
    if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(tree, 'bin', applet));
  }
  writeFileSync(join(tree, 'init'), GUEST_SCRIPT);
  writeFileSync(join(work, 'i386.S'), I386_PROGRAM);
  execFileSync('gcc', ['-m32', '-nostdlib', '-static', '-o', join(tree, 'bin/i386'), join(work, 'i386.S')]);
  chmodSync(join(tree, 'init'), 0o755);
  execFileSync('sh', ['-c', 'find . | /bin/busybox cpio -o -H newc > ../initramfs.cpio'], { cwd: tree, stdio: ['ignore', 'ignore', 'ignore'] });
  writeFileSync(join(work, 'disk'), Buffer.concat([Buffer.from('disk'), Buffer.alloc(1 << 20)]));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Boots the kernel; its console's lines once it has reset itself. */
async function boot(cpus: number): Promise<string[]> {
  const qemu = spawn('qemu-system-x86_64', [
    '-M', 'microvm,pit=on,pic=on,rtc=on,isa-serial=on,ioapic2=off,acpi=off,auto-kernel-cmdline=on', '-accel', 'tcg,thread=multi', '-cpu', 'qemu64',
    '-smp', String(cpus), '-m', '640', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
    '-kernel', join(cache, 'guest/vmlinux'), '-initrd', join(work, 'initramfs.cpio'),
    '-append', 'console=hvc0 quiet panic=-1 reboot=t tsc=reliable',
    '-device', 'virtio-serial-device', '-chardev', 'stdio,id=console', '-device', 'virtconsole,chardev=console',
    '-device', 'virtio-rng-device', '-device', 'virtio-balloon-device,free-page-reporting=on',
    '-drive', `id=disk,file=${join(work, 'disk')},format=raw,if=none`, '-device', 'virtio-blk-device,drive=disk',
  ]);
  let output = '';
  qemu.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
  qemu.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
  const limit = setTimeout(() => qemu.kill('SIGKILL'), BOOT_LIMIT_MS);
  const status = await new Promise((resolve) => qemu.on('close', (code, signal) => resolve(code ?? signal)));
  clearTimeout(limit);
  expect(status, `QEMU's end; console:\n${output}`).toBe(0);
  return output.split(/\r?\n/).filter((line) => line !== '');
}

const values = (lines: string[], key: string) => lines.filter((line) => line.startsWith(`${key} `)).map((line) => line.slice(key.length + 1));

describe('guest kernel under QEMU TCG', () => {
  it.each([1, 2, 4])('boots with %i CPUs and finds all of them', { timeout: BOOT_LIMIT_MS + 10_000 }, async (cpus) => {
    const lines = await boot(cpus);
    const all = lines.join('\n');
    expect(lines.at(-1), all).toBe('end');
    expect(values(lines, 'cpus'), all).toEqual([String(cpus)]);
    expect(values(lines, 'trouble'), all).toEqual([]);
  });

  it('has the file systems, namespaces, controllers and devices of containers', { timeout: BOOT_LIMIT_MS + 10_000 }, async () => {
    const lines = await boot(1);
    const all = lines.join('\n');
    const expected: Record<string, string[]> = {
      release: [expect.stringMatching(/^6\.12\.\d+-vmm$/)],
      filesystem: ['erofs', 'ext4', 'overlay', 'fuse', 'virtiofs', 'tmpfs', 'proc', 'sysfs', 'devtmpfs', 'devpts', 'cgroup2', 'bpf', 'mqueue', 'binfmt_misc', 'hugetlbfs'],
      controller: ['cpuset', 'cpu', 'io', 'memory', 'pids', 'hugetlb'],
      namespace: ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'],
      node: ['fuse', 'loop-control', 'net/tun', 'vsock', 'hwrng', 'ptmx', 'kmsg', 'hvc0'],
      mounted: ['cgroup2', 'devpts', 'mqueue'],
      overlay: ['below above'],
      unshared: ['inner 1 0'],
      link: ['bridge', 'veth', 'dummy', 'macvlan', 'vlan', 'vxlan'],
      target: ['REJECT', 'LOG', 'TCPMSS'],
      match: ['limit', 'owner', 'state', 'conntrack'],
      program: ['i386'],
      sysctl: [
        'net/ipv6', 'net/netfilter/nf_conntrack_max', 'net/bridge/bridge-nf-call-iptables', 'kernel/unprivileged_bpf_disabled', 'net/core/bpf_jit_enable',
        'kernel/io_uring_disabled', 'fs/fanotify/max_user_marks', 'fs/inotify/max_user_watches', 'fs/aio-max-nr', 'kernel/shmmax', 'fs/mqueue/msg_max',
        'vm/swappiness', 'kernel/seccomp/actions_avail',
      ],
      hugepages: [expect.stringContaining('[madvise]')],
      disk: ['disk'],
    };
    for (const [key, wanted] of Object.entries(expected)) expect(values(lines, key), all).toEqual(expect.arrayContaining(wanted));
  });
});
