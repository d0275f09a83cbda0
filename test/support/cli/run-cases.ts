/**
 * Cases of `vmm run`, one table for both accelerators: the software CPU here (test/guest), KVM in the nested machine
 * (test/nested; the whole table there by test:long). `{image}` in the arguments is the busybox image of
 * test/support/guests/busybox-image.ts.
 */
import { expect } from 'vitest';
import type { CliResult } from './cli.ts';

export interface RunCase {
  readonly name: string;
  /** Options of `vmm run`, image and command. */
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly status: number;
  /** Exact text, or a pattern. */
  readonly stdout?: string | RegExp;
  readonly stderr?: string | RegExp;
  /** In `npm test` on KVM too, where a run takes several times as long. */
  readonly nested?: true;
}

export function runArgs(c: RunCase, accel: 'kvm' | 'wasm', image: string): readonly string[] {
  return ['run', '-q', '--accel', accel, '-m', '128m', ...c.args.map((arg) => (arg === '{image}' ? image : arg))];
}

export function checkRun(c: RunCase, result: CliResult): void {
  const told = `status ${result.status}, stderr: ${result.stderr}`;
  expect(result.status, told).toBe(c.status);
  const stdout = result.stdout.toString('latin1');
  if (typeof c.stdout === 'string') expect(stdout, told).toBe(c.stdout);
  else if (c.stdout) expect(stdout, told).toMatch(c.stdout);
  if (typeof c.stderr === 'string') expect(result.stderr).toBe(c.stderr);
  else if (c.stderr) expect(result.stderr).toMatch(c.stderr);
}

const sh = (script: string, ...options: string[]): readonly string[] => [...options, '{image}', '/bin/sh', '-c', script];

export const RUN_CASES: readonly RunCase[] = [
  { name: 'standard output and error stay apart, byte by byte', args: sh('printf "out\\000\\377"; echo err >&2'), status: 0, stdout: 'out\0\u00ff', stderr: 'err\n', nested: true },
  { name: 'a status of 42 comes back', args: sh('exit 42'), status: 42 },
  { name: 'a command that a signal ends gives 128 + n', args: sh('kill -9 $$', '--init'), status: 137 },
  { name: 'a command that is not found gives 127', args: ['{image}', 'no-such-command'], status: 127, stderr: /executable file not found in \$PATH/ },
  { name: 'a command that is not executable gives 126', args: ['{image}', '/etc/passwd'], status: 126, stderr: /permission denied/i },
  { name: 'standard input and its end are passed on', args: ['-i', '{image}', 'wc', '-c'], stdin: 'x'.repeat(100_000), status: 0, stdout: '100000\n', nested: true },
  { name: 'without -i standard input is empty', args: ['{image}', 'wc', '-c'], stdin: 'ignored', status: 0, stdout: '0\n' },
  { name: 'the command is PID 1 of its own namespace', args: sh('echo $$; ps -o pid,args | tail -n +2 | wc -l'), status: 0, stdout: /^1\n[1-4]\n$/ },
  { name: 'with --init it is not', args: sh('echo $$', '--init'), status: 0, stdout: /^([2-9]|\d\d+)\n$/ },
  { name: 'environment: PATH, HOSTNAME, HOME and -e', args: sh('echo $PATH $HOSTNAME $HOME $A', '--hostname', 'h1', '-e', 'A=b c'), status: 0, stdout: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin h1 /root b c\n' },
  { name: 'the host name is set', args: sh('hostname; cat /etc/hostname', '--hostname', 'box'), status: 0, stdout: 'box\nbox\n' },
  { name: 'the working directory is made when absent', args: sh('pwd', '-w', '/a/b'), status: 0, stdout: '/a/b\n' },
  { name: 'a user by name with its groups', args: sh('id', '-u', 'nobody'), status: 0, stdout: /^uid=65534\(nobody\) gid=65534\(nogroup\)/ },
  { name: 'a user and group by number', args: sh('id -u; id -g', '-u', '1000:1001'), status: 0, stdout: '1000\n1001\n' },
  { name: 'an unknown user is told', args: sh('id', '-u', 'nosuchuser'), status: 125, stderr: /nosuchuser/ },
  { name: 'the root is writable, and the image does not change', args: sh('echo x >/new; cat /new; ls /new'), status: 0, stdout: 'x\n/new\n' },
  { name: 'with --read-only it is not writable', args: sh('echo x >/new', '--read-only'), status: 1, stderr: /Read-only file system/ },
  { name: 'a tmpfs is mounted with its options', args: sh('grep " /scratch " /proc/mounts', '--tmpfs', '/scratch:size=1m,mode=1777'), status: 0, stdout: /^tmpfs \/scratch tmpfs rw,nosuid,nodev,noexec,.*size=1024k/ },
  { name: 'ulimits are set', args: sh('ulimit -n; ulimit -Hn', '--ulimit', 'nofile=100:200'), status: 0, stdout: '100\n200\n' },
  { name: 'as many open files as the kernel allows', args: sh('ulimit -Sn; ulimit -Hn'), status: 0, stdout: '1048576\n1048576\n' },
  { name: 'a limit that cannot be is told by name, with the most there is', args: sh('true', '--ulimit', 'nofile=2000000'), status: 125, stderr: /nofile goes up to 1048576, / },
  { name: 'any user may bind port 80 and open ping sockets', args: sh('nc -l -p 80 </dev/null & sleep 1; kill $! && cat /proc/sys/net/ipv4/ping_group_range', '-u', '1000'), status: 0, stdout: '0\t2147483647\n' },
  { name: 'the root is one file system', args: sh('stat -c %d / /bin /bin/busybox | sort -u | wc -l'), status: 0, stdout: '1\n' },
  { name: 'capabilities are Docker’s default set', args: sh('grep CapEff /proc/self/status'), status: 0, stdout: 'CapEff:\t00000000a80425fb\n' },
  { name: 'Docker’s seccomp filter is there: no namespaces, no mounts', args: sh('grep Seccomp: /proc/self/status; busybox unshare -m true; mount -t tmpfs x /tmp'), status: 1, stdout: 'Seccomp:\t2\n', stderr: /unshare.*: Operation not permitted\n.*(permission denied|Operation not permitted)/s },
  { name: 'with SYS_ADMIN it lets them be made', args: sh('busybox unshare -m true && mount -t tmpfs x /tmp && echo mounted', '--cap-add', 'SYS_ADMIN'), status: 0, stdout: 'mounted\n' },
  { name: 'the machine’s own devices can be named but not opened', args: sh('for n in b:254:0 c:229:0 c:1:11 c:10:237 c:10:200; do IFS=: ; set -- $n; busybox mknod /tmp/n $1 $2 $3; (cat /tmp/n >/dev/null) 2>&1; rm /tmp/n; done | sort | uniq -c'), status: 0, stdout: /^ *5 cat: .*Operation not permitted\n$/ },
  { name: '--security-opt seccomp=unconfined takes the filter away, no-new-privileges is set', args: sh('grep -E "Seccomp:|NoNewPrivs" /proc/self/status', '--security-opt', 'seccomp=unconfined', '--security-opt', 'no-new-privileges'), status: 0, stdout: 'NoNewPrivs:\t1\nSeccomp:\t0\n' },
  { name: '--privileged: all capabilities, devices, and /sys to write to', args: sh('grep -E "CapEff|Seccomp:" /proc/self/status; (head -c 4 /dev/vda >/dev/null) && echo disk; mkdir /sys/fs/cgroup/inner && echo cgroup; touch /proc/sys/kernel/domainname && echo sysctl', '--privileged'), status: 0, stdout: 'CapEff:\t000001ffffffffff\nSeccomp:\t0\ndisk\ncgroup\nsysctl\n' },
  { name: '--device gives one device of the guest', args: sh('(true </dev/net/tun) && echo opened; (true </dev/fuse) 2>/dev/null || echo none', '--device', '/dev/net/tun'), status: 0, stdout: 'opened\nnone\n' },
  { name: '--systemd=always: tmpfs in its places, a cgroup to write to', args: sh('grep -cE " (/run|/run/lock|/tmp|/var/log/journal) tmpfs rw" /proc/mounts; mkdir /sys/fs/cgroup/a && echo +pids >/sys/fs/cgroup/cgroup.subtree_control 2>&1; echo $container', '--systemd=always'), status: 0, stdout: /^4\n(.*\n)?oci\n$/ },
  { name: '--cap-drop ALL leaves none', args: sh('grep CapBnd /proc/self/status', '--cap-drop', 'ALL'), status: 0, stdout: 'CapBnd:\t0000000000000000\n' },
  { name: 'two vCPUs are two CPUs', args: sh('nproc', '--cpus', '2'), status: 0, stdout: '2\n' },
  { name: 'a fraction is a quota', args: sh('nproc; cat /sys/fs/cgroup/cpu.max', '--cpus', '0.5'), status: 0, stdout: '1\n50000 100000\n' },
  { name: 'entry point and its arguments', args: ['--entrypoint', '/bin/echo', '{image}', 'a', 'b'], status: 0, stdout: 'a b\n' },
  { name: 'one megabyte through a pipe arrives whole', args: sh('head -c 1000000 /dev/zero | tr "\\000" x; echo end'), status: 0, stdout: `${'x'.repeat(1_000_000)}end\n` },
  { name: 'output of a child that outlives the command is not waited for', args: sh('(sleep 1000; echo late) & echo now'), status: 0, stdout: 'now\n' },
];
