import { afterAll, expect, it } from 'vitest';
import { ownContainers } from '../support/cli/containers.ts';

const { image, cli, close } = ownContainers('update');
afterAll(close);
const text = async (...words: [string, ...string[]]) => (await cli(...words)).stdout.toString();

it('vmm update changes limits of what runs, gives memory to the host, and counts for the next start', async () => {
  expect(await cli('run', '-d', '--accel', 'wasm', '-m', '256m', '--cpus', '2', '--restart', 'on-failure:3', '--name', 'box', image, 'sh', '-c', "trap 'exit 1' USR1; while :; do sleep 0.1; done")).toMatchObject({ status: 0, stderr: '' });
  const settings = () => text('exec', 'box', 'sh', '-c', 'cd /sys/fs/cgroup; cat pids.max cpu.max memory.max cpu.weight');
  const free = async () => Number(/^MemFree: +(\d+) kB/m.exec(await text('exec', 'box', 'cat', '/proc/meminfo'))?.[1]);
  const before = await free();
  expect(await cli('update', '-m', '128m', '--cpus', '0.5', '--pids-limit', '50', '-c', '2048', 'box')).toMatchObject({ status: 0, stdout: Buffer.from('box\n'), stderr: '' });
  // As with -c at a start: 1 + (2048 - 2) * 9999 / 262142.
  const changed = `50\n50000 100000\n${128 << 20}\n79\n`;
  expect(await settings()).toBe(changed);
  // The balloon holds what is above the limit, and 48 MiB for kernel and init: 80 MiB.
  const least = 75 * 1024;
  for (let tries = 0; before - (await free()) < least; tries++) if (tries > 100) throw new Error(`${before} kB were free, now ${await free()}`);
  // A start in the same machine has the limits, too.
  await cli('kill', '-s', 'USR1', 'box');
  for (let tries = 0; (await text('inspect', '-f', '{{.RestartCount}} {{.State.Status}}', 'box')) !== '1 running\n'; tries++) if (tries > 100) throw new Error('it is not started again');
  expect(await settings()).toBe(changed);
  expect(await cli('update', '-m', '256m', 'box')).toMatchObject({ status: 0 });
  for (let tries = 0; before - (await free()) > least / 2; tries++) if (tries > 100) throw new Error(`${before} kB were free, now ${await free()}`);
  expect(await cli('update', '-m', '512m', 'box')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^vmm: the machine of container box has 256m .*\[CONTAINER_STATE\]\n$/) });
  expect(await cli('update', '--cpus', '3', 'box')).toMatchObject({ status: 1, stderr: expect.stringMatching(/has 2 CPUs/) });
  await cli('update', '--restart', 'no', 'box');
  await cli('kill', '-s', 'USR1', 'box');
  expect(await text('wait', 'box')).toBe('1\n');
  expect(await cli('update', '-m', '192m', '--cpus', '1', 'box')).toMatchObject({ status: 0 });
  expect(await text('inspect', '-f', '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.CpuShares}}', 'box')).toBe(`${192 << 20} 50 no 2048\n`);
  await cli('start', 'box');
  expect(await text('exec', 'box', 'sh', '-c', 'nproc; cat /sys/fs/cgroup/pids.max')).toBe('1\n50\n');
  expect((await cli('update', 'box')).stderr).toMatch(/\[USAGE\]\n$/);
  expect((await cli('update', '--cpu-quota', '50000', 'box')).stderr).toMatch(/^vmm: conflicting options.*\[USAGE\]\n$/);
  await cli('rm', '-f', 'box');
});
