/** Socket activation: systemd's own tool opens the sockets, rkt's run gets them, the app in the guest serves who connects. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { HANG_MS } from '../support/limits.ts';
import { ownStage0 } from './own-stage0.ts';
import { type AppSpec, ended, type Stage0 } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const TOOL = existsSync('/usr/bin/systemd-socket-activate');
/** What it does, where Debian's systemd is not installed: sockets from 3 on, then the program. */
const PERL = 'use IO::Socket::INET; $^F = 99; my @s; while ($ARGV[0] eq "-l") { shift; my ($h, $p) = split /:/, shift; push @s, IO::Socket::INET->new(Listen => 9, ReuseAddr => 1, LocalAddr => $h, LocalPort => $p) or die } $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = @s; exec @ARGV;';
const own = ownStage0('activated');

const app = (ports: readonly Record<string, unknown>[], more: Record<string, unknown> = {}): AppSpec => ({ name: 'app', rootfs: own.rootfs, app: { exec: ['/bin/activated'], user: '65534', group: '65534', ports, ...more } });

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** All that comes back for `bytes` and the end of sending. */
function ask(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('data', (chunk: Buffer) => { text += chunk.toString(); }).on('error', reject).on('close', () => resolve(text));
    socket.setTimeout(HANG_MS / 5, () => socket.destroy(new Error('no answer')));
    socket.end(bytes);
  });
}

/** rkt as a service of a socket unit: its stage0 opens the lock and becomes stage1. */
function activated(pod: ReturnType<Stage0['prepare']>, listen: readonly string[]): ChildProcess {
  const script = 'exec 20<.; flock -xn 20 && RKT_LOCK_FD=20 exec stage1/rootfs/run --net=none --local-config=/etc/rkt "$0"';
  const sockets = listen.flatMap((each) => ['-l', each]);
  const [program, ...args] = TOOL ? ['/usr/bin/systemd-socket-activate', ...sockets] : ['perl', '-e', PERL, ...sockets];
  return spawn(program!, [...args, 'bash', '-c', script, pod.uuid], { cwd: pod.dir, env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] });
}

describe.skipIf(!ROOT)('socket activation', () => {
  it('a connection that was there before the pod, others, ten at once, half-closed; a socket that is nobody’s is told', async () => {
    const [port, other, strange] = [await freePort(), await freePort(), await freePort()];
    const pod = own.stage0.prepare({
      apps: [app([{ name: 'web', protocol: 'tcp', port: 80, socketActivated: true }, { name: 'plain', protocol: 'tcp', port: 81 }, { name: 'admin', protocol: 'tcp', port: other, socketActivated: true }])],
      pod: { ports: [{ name: 'web', hostPort: port }] },
    });
    const child = activated(pod, [port, strange, other].map((each) => `127.0.0.1:${each}`));
    const end = ended(child, '', HANG_MS);
    let first: string | undefined;
    // Who listens is known by connecting; systemd's tool begins with that.
    while (first === undefined) first = await ask(port, Buffer.alloc(100_000, 'x')).catch((error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? undefined : Promise.reject(error)));
    expect(first).toBe('got 100000\n');
    expect(await Promise.all(Array.from({ length: 10 }, (_, i) => ask(port, Buffer.alloc(i))))).toEqual(Array.from({ length: 10 }, (_, i) => `got ${i}\n`));
    expect((await pod.stop()).status).toBe(0);
    const { stdout, stderr } = await end;
    expect(stdout).toBe(`sockets: 80 ${other}\n`);
    expect(stderr).toContain(`stage1: LISTEN_FDS: no app has a port ${strange} with socketActivated for descriptor 4\n`);
    await expect(ask(port, Buffer.alloc(1))).rejects.toThrow('ECONNREFUSED');
  });

  it('sockets of another process are not taken; the app has its own all the same', async () => {
    const pod = own.stage0.prepare({ apps: [app([{ name: 'web', protocol: 'tcp', port: 8080, socketActivated: true }])] });
    const running = pod.run(undefined, { env: { LISTEN_PID: '1', LISTEN_FDS: '1' } });
    expect(await running.said('sockets')).toBe('sockets: 8080\n');
    await pod.stop();
    expect((await running.end()).stderr).toBe('');
  });

  it('a port of UDP is refused; two apps at one port fail in one line', async () => {
    const udp = await own.stage0.prepare({ apps: [app([{ name: 'dns', protocol: 'udp', port: 53, socketActivated: true }])] }).run().end();
    expect(udp).toMatchObject({ status: 254, stdout: '', stderr: expect.stringMatching(/^stage1: app app: port dns: a socket of the protocol "udp" cannot be given to it.*\n$/) });
    const ports = [{ name: 'web', protocol: 'tcp', port: 80, socketActivated: true }];
    const twice = await own.stage0.prepare({ apps: [app(ports), { ...app(ports), name: 'second' }] }).run().end();
    expect(twice.status).toBe(203);
    expect(twice.stderr).toMatch(/^stage1: cannot listen at port 80: Address (already )?in use\n$/);
  });
});
