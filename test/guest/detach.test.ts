/** The detach keys of a run without a name, and its ends: it has an owner, as a container that is kept. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { BIN } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';
import { Terminal } from '../support/cli/terminal.ts';

const { image, root, cli, close } = ownContainers('detach');
let shell: Terminal | undefined;
afterEach(() => {
  shell?.kill();
  shell = undefined;
});
afterAll(close);

const SMALL = ['--accel', 'wasm', '-m', '128m'];
const run = (...options: string[]): string => [process.execPath, '--', BIN, 'run', '--root', root, '-q', '-it', ...SMALL, ...options].join(' ');
const left = (): string[] => ['names', 'sockets'].flatMap((folder) => readdirSync(join(root, folder)));

describe('vmm run -it without a name', () => {
  it('detach keys give the prompt back; it is attached to again, and no output is lost between', async () => {
    shell = new Terminal("PS1='host> ' exec bash --norc --noprofile -i");
    await shell.until(/host> $/);
    shell.type(`${run().replace(' -q', '')} ${image} sh\n`);
    await shell.until(/\/ # /);
    shell.type('(sleep 1; for i in 1 2 3; do echo tick-$((6 * 7 + i)); done) &\n');
    await shell.until(/\/ # /);
    shell.type('\x10\x11');
    const [, id = ''] = await shell.until(/vmm: left running \(again: vmm attach ([0-9a-f]{12});.*host> /s);
    // The shell has no job of it.
    shell.type('jobs; echo jobs-$?\n');
    expect((await shell.until(/([\s\S]*)jobs-0/))[1]).not.toMatch(/Running|Stopped/);
    while (!(await cli('logs', id)).stdout.includes('tick-45')) await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await cli('ps', '--format', '{{.ID}} {{.State}}')).stdout.toString()).toBe(`${id} running\n`);
    expect((await cli('exec', id, 'echo', 'here')).stdout.toString()).toBe('here\n');
    shell.type(`${process.execPath} -- ${BIN} attach --root ${root} ${id}\n`);
    while (!/"attach"[\s\S]*"attach"/.test((await cli('events', '--since', '1h', '--until', '0s', '--format', '{{json .Action}}')).stdout.toString())) await new Promise((resolve) => setTimeout(resolve, 100));
    shell.type('echo again-$((40 + 2))\n');
    await shell.until(/again-42/);
    shell.type('exit 3\n');
    await shell.until(/host> $/);
    shell.type('echo status-$?; exit\n');
    await shell.until(/status-3/);
    expect(await shell.status).toBe(0);
    // What was left stays, with its log, until it is removed.
    expect((await cli('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', id)).stdout.toString()).toBe('exited 3\n');
    expect((await cli('logs', id)).stdout.toString()).toMatch(/tick-43\r\ntick-44\r\ntick-45\r\n[\s\S]*again-42/);
    // It is its user's now: it is started without a client, and stays at its end.
    expect(await cli('start', id)).toMatchObject({ status: 0 });
    expect((await cli('inspect', '-f', '{{.State.Status}}', id)).stdout.toString()).toBe('running\n');
    await cli('stop', '-t', '0', id);
    expect((await cli('inspect', '-f', '{{.State.Status}}', id)).stdout.toString()).toBe('exited\n');
    expect(await cli('rm', id)).toMatchObject({ status: 0 });
  });

  it('goes with its terminal, and at its end: nothing is left', async () => {
    shell = new Terminal(`echo vmm-$$; exec ${run()} ${image} sh -c 'trap "" HUP TERM; echo up-$((40 + 2)); while :; do sleep 1; done'`);
    const [, pid] = await shell.until(/vmm-(\d+)\r\n[\s\S]*up-42\r\n/);
    expect((await cli('ps', '-q')).stdout.toString()).toMatch(/^[0-9a-f]{12}\n$/);
    shell.kill();
    while (existsSync(`/proc/${pid}`) || left().length > 0) await new Promise((done) => setTimeout(done, 50));
    shell = new Terminal(`${run()} ${image} sh -c 'exit 4'`);
    expect(await shell.status).toBe(4);
    expect(left()).toEqual([]);
    expect((await cli('ps', '-aq')).stdout.toString()).toBe('');
  });

  it('a client that is killed takes it with it', async () => {
    shell = new Terminal(`echo vmm-$$; exec ${run()} ${image} sh -c 'echo up-$((40 + 2)); exec sleep 1000'`);
    const [, pid] = await shell.until(/vmm-(\d+)\r\n[\s\S]*up-42\r\n/);
    process.kill(Number(pid), 'SIGKILL');
    while (left().length > 0) await new Promise((done) => setTimeout(done, 50));
    expect((await cli('ps', '-aq')).stdout.toString()).toBe('');
  });

  it('with what only a run in its own process has, says that it cannot be left, and goes on', async () => {
    shell = new Terminal(`${run('--timeline')} ${image} sh`.replace(' -q', ''));
    await shell.until(/\/ # /);
    shell.type('\x10\x11');
    await shell.until(/vmm: this run cannot be left[^\n]*\r\n/);
    shell.type('exit 6\n');
    expect(await shell.status).toBe(6);
  });
});
