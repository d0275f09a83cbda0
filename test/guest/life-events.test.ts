import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';
import { Watched } from '../support/watched.ts';

const { image, root, cli, close } = ownContainers('events');
afterAll(close);
const run = (name: string, ...rest: string[]) => cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', name, ...rest);

describe('vmm events', () => {
  it('tells a container’s life in Docker’s words, as it happens and later; filters choose', async () => {
    const begin = (Date.now() / 1000).toFixed(3);
    const live = new Watched(spawn(process.execPath, ['--', BIN, 'events', '--root', root, '--since', begin, '--format', '{{.Action}}'], { stdio: ['ignore', 'pipe', 'inherit'] }));
    await run('lives', '--label', 'tier=front', image, 'sh', '-c', "trap 'exit 3' TERM; while :; do sleep 0.1; done");
    await cli('exec', 'lives', 'false');
    await cli('pause', 'lives');
    await cli('unpause', 'lives');
    await cli('rename', 'lives', 'lived');
    await cli('stop', 'lived');
    await cli('rm', 'lived');
    const life = ['create', 'start', 'exec_create: false', 'exec_start: false', 'exec_die', 'pause', 'unpause', 'rename', 'kill', 'die', 'stop', 'destroy'];
    const seen = await live.until('destroy\n');
    live.child.kill('SIGTERM');
    expect(seen).toBe(`${life.join('\n')}\n`);
    const past = async (...words: string[]) => (await cli('events', '--since', begin, '--until', `${Date.now() / 1000}`, ...words)).stdout.toString();
    expect(await past('--format', '{{.Action}}')).toBe(`${life.join('\n')}\n`);
    expect(await past('--filter', 'event=die', '--filter', 'event=kill', '--filter', 'label=tier=front', '--format', '{{.Action}} {{.Actor.Attributes.name}}')).toBe('kill lives\ndie lives\n');
    expect(await past('--filter', 'event=die')).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z container die [0-9a-f]{64} \(exitCode=3, image=.*, name=lives, tier=front\)\n$/);
    expect(await past('--filter', 'label=tier=back')).toBe('');
    expect(await past('--until', begin)).toBe('');
    expect((await cli('events', '--filter', 'colour=red')).stderr).toMatch(/^vmm: .*\[USAGE\]\n$/);
    expect((await cli('events', '--since', 'soon')).stderr).toMatch(/^vmm: .*is not a time.*\[USAGE\]\n$/);
  });

  it('the end of one whose process was killed is told by who looks; restarts are starts and ends', async () => {
    const begin = `${Date.now() / 1000}`;
    const id = (await run('cut', image, 'sleep', '1000')).stdout.toString().trim();
    const owner = readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && commandLine(pid).endsWith(`owner\0${root}\0${id}\0`));
    process.kill(Number(owner), 'SIGKILL');
    await cli('wait', 'cut');
    await run('again', '--restart', 'on-failure:1', image, 'false');
    await cli('wait', 'again');
    const past = (name: string) => cli('events', '--since', begin, '--until', '0s', '--filter', `container=${name}`, '--format', '{{.Action}}');
    await past('cut');
    expect((await past('cut')).stdout.toString()).toBe('create\nstart\ndie\n');
    expect((await past('again')).stdout.toString()).toBe('create\nstart\ndie\nstart\ndie\n');
    await cli('rm', 'cut', 'again');
  });
});

describe('vmm logs', () => {
  it('--since and --until', async () => {
    await run('dated', image, 'sh', '-c', 'echo one; sleep 1; echo two');
    await cli('wait', 'dated');
    const lines = (await cli('logs', '-t', 'dated')).stdout.toString().split('\n');
    const between = new Date((Date.parse(lines[0]?.split(' ')[0] ?? '') + Date.parse(lines[1]?.split(' ')[0] ?? '')) / 2).toISOString();
    expect((await cli('logs', '--since', between, 'dated')).stdout.toString()).toBe('two\n');
    expect((await cli('logs', '--until', between, 'dated')).stdout.toString()).toBe('one\n');
    expect((await cli('logs', '--since', '1h', '--tail', '1', 'dated')).stdout.toString()).toBe('two\n');
    expect((await cli('logs', '--since', '0s', '-f', 'dated')).stdout.toString()).toBe('');
    await cli('rm', 'dated');
    expect((await vmm(['logs', '--since', 'x', 'dated'])).stderr).toMatch(/\[USAGE\]\n$/);
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
