/** Docker's options of resources and names, as the container's own kernel shows them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';

const { image, cli, close } = ownContainers('limits');
afterAll(close);
const run = async (script: string, ...options: string[]) => {
  const { stdout, stderr, status } = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', ...options, image, 'sh', '-c', script]);
  return { lines: stdout.toString().trimEnd().split('\n'), stderr, status };
};

describe('vmm run', () => {
  it('limits are settings of the cgroup, names and sizes those of the guest', async () => {
    const script = 'cd /sys/fs/cgroup; cat pids.max cpu.weight cpu.max cpuset.cpus.effective memory.low; df -k /dev/shm | tail -n 1; id -G; cat /proc/sys/net/core/somaxconn /proc/sys/vm/max_map_count /proc/self/oom_score_adj; hostname -f; cat /proc/sys/kernel/domainname; nproc';
    const { lines, stderr } = await run(script, '--pids-limit', '77', '-c', '512', '--cpu-quota', '150000', '--cpuset-cpus', '0-1', '--memory-reservation', '16m',
      '--shm-size', '8m', '--group-add', '1234', '--group-add', 'nogroup', '--sysctl', 'net.core.somaxconn=99', '--sysctl', 'vm.max_map_count=262144', '--oom-score-adj', '345', '-h', 'box', '--domainname', 'example.org',
      '--memory-swap', '-1', '--memory-swappiness', '10', '--kernel-memory', '64m', '--oom-kill-disable', '--blkio-weight', '100', '--cgroup-parent', '/x', '--userns', 'host', '--ipc', 'shareable', '--storage-opt', 'size=128m');
    expect(stderr).toBe('');
    const [pids, weight, max, cpus, low, shm, groups, somaxconn, maps, oom, name, domain, processors] = lines;
    // runc's map of shares to weights: 1 + (512 - 2) * 9999 / 262142.
    expect([pids, weight, max, cpus, low]).toEqual(['77', '20', '150000 100000', '0-1', `${16 << 20}`]);
    expect(shm).toMatch(/^shm +8192 /);
    expect(groups?.split(' ')).toEqual(expect.arrayContaining(['0', '65534', '1234']));
    expect([somaxconn, maps, oom, name, domain, processors]).toEqual(['99', '262144', '345', 'box.example.org', 'example.org', '2']);
  });

  it('--ipc none, --pid host and --uts host, --device-cgroup-rule', async () => {
    const { lines, stderr } = await run('(echo x >/dev/shm/x) 2>&1 | grep -o Read-only; cat /proc/1/comm; hostname; mknod /tmp/tun c 10 200; (true </tmp/tun) && echo opened', '--ipc', 'none', '--pid', 'host', '--uts', 'host', '--device-cgroup-rule', 'c 10:200 rwm');
    expect({ lines, stderr }).toEqual({ lines: ['Read-only', 'init', 'localhost', 'opened'], stderr: '' });
  });

  it('what cannot be is one line', async () => {
    const cases: [string[], RegExp][] = [
      [['--cpus', '1', '--cpu-quota', '5000'], /conflicting options/], [['--memory-swap', '64m'], /less than --memory/], [['--memory-reservation', '1g'], /more than --memory/],
      [['--cpuset-cpus', '3-1'], /no list of CPUs/], [['--cpuset-cpus', '0-40'], /no list of CPUs/], [['--cpuset-mems', '1'], /one memory node/],
      [['--pid', 'container:x'], /machine of its own/], [['--sysctl', 'nothing'], /NAME=VALUE/], [['--sysctl', 'no.such=1'], /sysctl no\.such/], [['--storage-opt', 'x=1'], /size=10g/], [['--gpus', 'all'], /not supported/],
      [['--health-cmd', 'true', '--no-healthcheck', '--name', 'n'], /conflicts/], [['--health-interval', '1x'], /not a time/], [['--log-driver', 'syslog'], /no driver syslog/], [['--log-opt', 'max-size=1k'], /too small/],
    ];
    for (const [options, told] of cases) expect(await run('true', ...options), options.join(' ')).toMatchObject({ status: 125, stderr: expect.stringMatching(new RegExp(`^vmm: [^\\n]*${told.source}[^\\n]*\\[[A-Z_]+\\]\\n$`)) });
  });
});

describe('a health check', () => {
  it('is starting, healthy, unhealthy after failures in a row, and healthy again; ps and inspect show it', async () => {
    const created = await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'sick', '--health-cmd', 'echo checked; test ! -e /sick', '--health-interval', '300ms', '--health-retries', '2', image, 'sleep', '1000');
    expect(created).toMatchObject({ status: 0, stderr: '' });
    const status = async (wanted: string) => {
      for (let tries = 0; tries < 300; tries++) if ((await cli('inspect', '-f', '{{.State.Health.Status}}', 'sick')).stdout.toString() === `${wanted}\n`) return;
      throw new Error(`it is never ${wanted}: ${(await cli('inspect', '-f', '{{json .State.Health}}', 'sick')).stdout}`);
    };
    await status('healthy');
    expect((await cli('ps', '--filter', 'health=healthy', '--format', '{{.Status}}')).stdout.toString()).toMatch(/^Up .* \(healthy\)\n$/);
    await cli('exec', 'sick', 'touch', '/sick');
    await status('unhealthy');
    const health = JSON.parse((await cli('inspect', '-f', '{{json .State.Health}}', 'sick')).stdout.toString()) as { FailingStreak: number; Log: { ExitCode: number; Output: string }[] };
    expect(health.FailingStreak).toBeGreaterThanOrEqual(2);
    expect(health.Log.at(-1)).toMatchObject({ ExitCode: 1, Output: 'checked\n' });
    expect(health.Log.length).toBeLessThanOrEqual(5);
    await cli('exec', 'sick', 'rm', '/sick');
    await status('healthy');
    await cli('rm', '-f', 'sick');
  });
});

describe('--log-opt, --log-driver and --label-file', () => {
  it('keep the newest files only, or none; labels of a file stand behind --label', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vmm-labels-'));
    writeFileSync(join(folder, 'labels'), '# of a file\na=file\nb=file\n');
    const made = await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'loud', '--label-file', join(folder, 'labels'), '-l', 'a=own', '--log-opt', 'max-size=128k', '--log-opt', 'max-file=2', image, 'sh', '-c', 'i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); done');
    expect(made).toMatchObject({ status: 0, stderr: '' });
    await cli('wait', 'loud');
    const lines = (await cli('logs', 'loud')).stdout.toString().trimEnd().split('\n');
    expect(lines.at(-1)).toBe('line 5999');
    expect(lines.length).toBeLessThan(6000);
    expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => `line ${6000 - lines.length + i}`));
    expect(JSON.parse((await cli('inspect', '-f', '{{json .Config.Labels}}', 'loud')).stdout.toString())).toEqual({ a: 'own', b: 'file' });
    await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'quiet', '--log-driver', 'none', image, 'echo', 'x');
    expect(await cli('logs', 'quiet')).toMatchObject({ status: 125, stderr: expect.stringMatching(/keeps no log/) });
    await cli('wait', 'quiet');
    await cli('rm', 'loud', 'quiet');
    expect(readFileSync(join(folder, 'labels'), 'utf8')).toContain('# of');
    rmSync(folder, { recursive: true });
  });
});
