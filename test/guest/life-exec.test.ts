import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { ownContainers } from '../support/cli/containers.ts';
import { Terminal } from '../support/cli/terminal.ts';
import { HANG_MS } from '../support/limits.ts';

const { image, root, cli, close } = ownContainers('exec');
afterAll(close);
const children: ChildProcess[] = [];
let terminal: Terminal | undefined;
beforeAll(async () => {
  expect(await cli('run', '-d', '-i', '--accel', 'wasm', '-m', '128m', '--name', 'box', '-e', 'OF=container', '-w', '/root', '--cap-drop', 'CHOWN', image, 'sh', '-c', 'echo up; while read -r line; do echo "read $line"; done; sleep 1000')).toMatchObject({ status: 0 });
});
afterEach(() => {
  terminal?.kill();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
const exec = (...rest: string[]) => cli('exec', ...rest);
const words = (...rest: string[]) => [process.execPath, '--', BIN, ...rest.slice(0, 1), '--root', root, ...rest.slice(1)];

/** A client whose output is collected as it comes. */
function client(...rest: string[]) {
  const [command = '', ...args] = words(...rest);
  const child = spawn(command, args, { stdio: 'pipe' });
  children.push(child);
  let text = '';
  let bytes = 0;
  let changed = (): void => {};
  child.stdin.on('error', () => {});
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      bytes += chunk.length;
      changed();
    });
  }
  const status = new Promise<number | NodeJS.Signals | null>((resolve) => child.on('close', (code, signal) => {
    resolve(code ?? signal);
    changed();
  }));
  const until = async (pattern: RegExp): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    let ended = false;
    void status.then(() => {
      ended = true;
    });
    while (!pattern.test(text)) {
      if (ended) throw new Error(`ended without ${pattern}: ${text}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      changed = resolve;
      await promise;
    }
    clearTimeout(timer);
  };
  return { child, status, until, text: () => text, bytes: () => bytes };
}

/** Processes of the container whose command line is this one. */
const running = async (line: string): Promise<number> => {
  const { status, stdout, stderr } = await exec('box', 'ps');
  // Who waits for a process does not wait for one of a container that has ended.
  expect(status, stderr).toBe(0);
  return stdout.toString().split('\n').filter((row) => row.trimEnd().endsWith(line)).length;
};
const gone = async (line: string): Promise<void> => {
  while ((await running(line)) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
};

describe('vmm exec', () => {
  it('output, error output and status are the command’s; 126 and 127 are told', async () => {
    expect(await exec('box', 'sh', '-c', 'echo out; echo err >&2; exit 7')).toMatchObject({ status: 7, stdout: Buffer.from('out\n'), stderr: 'err\n' });
    expect(await exec('box', 'sh', '-c', 'kill -9 $$')).toMatchObject({ status: 137 });
    expect(await exec('box', 'no-such')).toMatchObject({ status: 127, stderr: expect.stringMatching(/^vmm: .*\[AGENT_COMMAND_NOT_FOUND\]\n$/) });
    expect(await exec('box', '/etc')).toMatchObject({ status: 126, stderr: expect.stringMatching(/^vmm: .*\[AGENT_COMMAND_NOT_EXECUTABLE\]\n$/) });
    expect(await exec('other', 'true')).toMatchObject({ status: 125, stderr: expect.stringContaining('[CONTAINER_NOT_FOUND]') });
    expect(await exec('-w', 'tmp', 'box', 'true')).toMatchObject({ status: 125, stderr: expect.stringContaining('absolute') });
    expect(await exec('-it', 'box', 'true')).toMatchObject({ status: 125, stderr: expect.stringContaining('not a terminal') });
  });

  it('environment, user, directory, capabilities and filter are the container’s unless said', async () => {
    const look = 'pwd; id -u; echo $OF-$MORE-$TERM; grep -E "CapEff|CapBnd|Seccomp:" /proc/self/status';
    expect((await exec('box', 'sh', '-c', look)).stdout.toString()).toBe('/root\n0\ncontainer--\nCapEff:\t00000000a80425fa\nCapBnd:\t00000000a80425fa\nSeccomp:\t2\n');
    expect((await exec('-u', 'nobody', '-w', '/tmp', '-e', 'MORE=a', '-e', 'OF', 'box', 'sh', '-c', look)).stdout.toString()).toBe('/tmp\n65534\n-a-\nCapEff:\t0000000000000000\nCapBnd:\t00000000a80425fa\nSeccomp:\t2\n');
    const file = join(root, 'variables');
    writeFileSync(file, 'MORE=file\n');
    expect((await exec('--privileged', '--env-file', file, 'box', 'sh', '-c', look)).stdout.toString()).toBe('/root\n0\ncontainer-file-\nCapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nSeccomp:\t2\n');
  });

  it('standard input is streamed to its end; without -i there is none', async () => {
    const lines = Array.from({ length: 50_000 }, (_, i) => `${i}\n`).join('');
    expect((await vmm(['exec', '--root', root, '-i', 'box', 'cat'], { stdin: lines })).stdout.toString()).toBe(lines);
    expect((await vmm(['exec', '--root', root, 'box', 'cat'], { stdin: lines })).stdout.toString()).toBe('');
    // A command that ends with input unread, and one whose reader goes.
    expect(await vmm(['exec', '--root', root, '-i', 'box', 'head', '-n', '1'], { stdin: lines })).toMatchObject({ status: 0, stdout: Buffer.from('0\n') });
    const piped = spawnSync('bash', ['-c', `${words('exec', 'box', 'yes').join(' ')} | head -n 1; echo \${PIPESTATUS[0]}`], { encoding: 'utf8', timeout: HANG_MS });
    expect(piped.stdout).toBe('y\n141\n');
    await gone('yes');
  });

  it('signals go to the command, past input that it does not read', async () => {
    const one = client('exec', '-i', 'box', 'sh', '-c', 'trap "echo got; exit 9" USR1; echo ready; while :; do sleep 0.1; done');
    one.child.stdin.write('x'.repeat(2_000_000));
    await one.until(/ready/);
    one.child.kill('SIGUSR1');
    expect(await one.status).toBe(9);
    expect(one.text()).toContain('got');
  });

  it('-d leaves it running; a client that is killed takes the streams with it, not the command', async () => {
    expect(await exec('-d', 'box', 'sleep', '501')).toMatchObject({ status: 0, stdout: Buffer.alloc(0) });
    expect(await running('sleep 501')).toBe(1);
    const killed = client('exec', '-i', 'box', 'sh', '-c', 'echo ready; cat; exec sleep 502');
    await killed.until(/ready/);
    killed.child.kill('SIGKILL');
    while ((await running('sleep 502')) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await exec('box', 'kill', '1234567')).toMatchObject({ status: 1 });
  });

  it('a client that stops reading holds its own command up, and nothing else', async () => {
    const stopped = client('exec', 'box', 'sh', '-c', 'echo ready; cat /bin/busybox /bin/busybox');
    await stopped.until(/ready/);
    stopped.child.kill('SIGSTOP');
    expect(await exec('box', 'echo', 'goes')).toMatchObject({ status: 0, stdout: Buffer.from('goes\n') });
    stopped.child.kill('SIGCONT');
    expect(await stopped.status).toBe(0);
    expect(stopped.bytes()).toBe(6 + 2 * statSync(join(image, 'bin/busybox')).size);
  });

  it('-t: a terminal with our size and its changes, Ctrl-C, detach keys that leave it running', async () => {
    terminal = new Terminal(`stty rows 31 cols 117; ${words('exec', '-it', '--detach-keys', 'ctrl-x,d', 'box', 'sh').join(' ')}; echo status-$?; stty -a | grep -c '^.* icanon'`);
    await terminal.until(/# /);
    terminal.type('stty size; echo $TERM; tty\n');
    await terminal.until(/31 117\r\nxterm\r\n\/dev\/pts\/\d+\r\n/);
    terminal.type('sleep 503\n');
    while ((await running('sleep 503')) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    terminal.type('\x03');
    await terminal.until(/# /);
    terminal.type('sleep 504\n');
    while ((await running('sleep 504')) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    terminal.type('\x18d');
    await terminal.until(/status-0\r\n1\r\n/);
    expect(await running('sleep 504')).toBe(1);
  });

  it('a terminal that goes away hangs its command up', async () => {
    terminal = new Terminal(words('exec', '-it', 'box', 'sh', '-c', "'echo up-$((40 + 2)); exec sleep 505'").join(' '));
    await terminal.until(/up-42/);
    terminal.kill();
    await gone('sleep 505');
  });

  it('nobody else may', () => {
    const [command = '', ...args] = words('exec', 'box', 'true');
    const { status, stderr } = spawnSync('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', command, ...args], { encoding: 'utf8', timeout: HANG_MS });
    expect(status).toBe(125);
    expect(stderr).toMatch(/^vmm: .*\[STATE_FOLDER\]\n$/);
  });
});

describe('vmm attach', () => {
  it('of two clients each has all output and can write; one that leaves or is killed leaves the container as it is', async () => {
    const [one, two] = [client('attach', 'box'), client('attach', '--no-stdin', 'box')];
    // What tells that a client is there is that it gets what another one writes.
    let sent = 0;
    while (!/read hello/.test(one.text()) || !/read hello/.test(two.text())) {
      one.child.stdin.write(`hello ${sent++}\n`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    one.child.kill('SIGKILL');
    await one.status;
    const three = client('attach', 'box');
    three.child.stdin.end('last\n');
    await two.until(/read last/);
    expect((await cli('logs', 'box')).stdout.toString()).toContain('read last');
    two.child.kill('SIGKILL');
  });

  it('detach keys leave a terminal’s container running, and it is attached to again; its status is the client’s', async () => {
    expect(await cli('run', '-d', '-it', '--accel', 'wasm', '-m', '128m', '--name', 'screen', image, 'sh')).toMatchObject({ status: 0 });
    terminal = new Terminal(`stty rows 31 cols 117; ${words('attach', 'screen').join(' ')}; echo status-$?; read; ${words('attach', 'screen').join(' ')}; echo second-$?`);
    terminal.type('\n');
    await terminal.until(/# /);
    terminal.type('stty size; echo on-$((40 + 2))\n');
    await terminal.until(/31 117\r\non-42\r\n/);
    terminal.type('\x10\x11');
    await terminal.until(/status-0/);
    terminal.type('\n');
    terminal.type('\n');
    await terminal.until(/# /);
    terminal.type('exit 5\n');
    await terminal.until(/second-5/);
    expect((await cli('wait', 'screen')).stdout.toString()).toBe('5\n');
    expect(await cli('attach', 'screen')).toMatchObject({ status: 125, stderr: expect.stringContaining('[CONTAINER_STATE]') });
  });

  it('signals go to the container', async () => {
    expect(await cli('run', '-d', '--accel', 'wasm', '-m', '128m', '--name', 'traps', image, 'sh', '-c', 'trap "echo got; exit 6" USR1; while :; do echo tick; sleep 0.1; done')).toMatchObject({ status: 0 });
    const one = client('attach', 'traps');
    await one.until(/tick/);
    one.child.kill('SIGUSR1');
    expect(await one.status).toBe(6);
    expect(one.text()).toContain('got');
  });
});
