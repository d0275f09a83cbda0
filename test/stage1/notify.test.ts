/** Readiness of a pod and its apps, by sd_notify(3), on both sides; and what systemd's numbers say of apps that could not begin. */
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HANG_MS } from '../support/limits.ts';
import { ownStage0 } from './own-stage0.ts';
import type { AppSpec, RunningPod } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const NOTIFIES = { annotations: [{ name: 'appc.io/executor/supports-systemd-notify', value: 'true' }] };
const own = ownStage0('notify');

const app = (script: string, more: Record<string, unknown> = {}, image: Record<string, unknown> = {}, name = 'app'): AppSpec => ({ name, rootfs: own.rootfs, image, app: { exec: ['/bin/sh', '-c', script], user: '0', group: '0', ...more } });

/** Stands for systemd: prints each datagram that comes to `path`, quoted. Resolves once it listens. */
async function manager(path: string): Promise<{ said(running: RunningPod): Promise<string> }> {
  const script = 'use IO::Socket::UNIX; use Socket; $| = 1; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die; print "open\n"; $s->recv(my $m, 9999); $m =~ s/\n/\\\\n/g; print "<$m>\n";';
  const process = spawn('perl', ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  const { promise: open, resolve: opened } = Promise.withResolvers<void>();
  const said = new Promise<string>((resolve) => {
    process.stdout?.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      if (text.includes('open')) opened();
      if (text.includes('>')) resolve(text);
    });
  });
  await open;
  return {
    // A pod that has ended tells nothing any more.
    said: (running) => Promise.race([said, running.end().then((end) => {
      process.kill();
      throw new Error(`the pod ended: ${JSON.stringify(end)}`);
    })]),
  };
}

describe.skipIf(!ROOT)('sd_notify', () => {
  it('the pod is ready when its app says so, and systemd is told then; the app’s root keeps no socket', async () => {
    const path = join(own.dir, 'manager');
    const systemd = await manager(path);
    const pod = own.stage0.prepare({ apps: [app('echo began; while [ ! -e /go ]; do sleep 0.1; done; notify STATUS=nearly "X=1\nREADY=1" STOPPING=1; echo told; sleep 1000', {}, NOTIFIES)] });
    const running = pod.run(undefined, { env: { NOTIFY_SOCKET: path } });
    await running.said('began');
    expect((await pod.enter(['/bin/sh', '-c', 'echo $NOTIFY_SOCKET; ls -d $NOTIFY_SOCKET'])).stdout).toBe('/run/systemd/notify\n/run/systemd/notify\n');
    expect(pod.ready).toBe(false);
    expect((await pod.enter(['/bin/touch', '/go'])).status).toBe(0);
    expect(await systemd.said(running)).toBe('open\n<READY=1\\n>\n');
    expect(pod.ready).toBe(true);
    expect((await pod.stop()).status).toBe(0);
    await running.end();
    expect(readdirSync(join(pod.s1, 'opt/stage2/app/rootfs/run/systemd'))).toEqual([]);
  });

  it('an app that does not use it makes no one wait, and has no socket', async () => {
    const path = join(own.dir, 'manager-2');
    const systemd = await manager(path);
    const pod = own.stage0.prepare({ apps: [app('echo "socket: $NOTIFY_SOCKET"; ls /run/systemd/notify; sleep 1000')] });
    const running = pod.run(undefined, { env: { NOTIFY_SOCKET: path } });
    expect(await systemd.said(running)).toBe('open\n<READY=1\\n>\n');
    expect(await running.said('socket:')).toContain('socket: \n');
    await pod.stop();
    expect((await running.end()).stderr).toContain('/run/systemd/notify: No such file');
  });

  it('an app that ends without a word, and one whose datagrams say nothing', async () => {
    const pod = own.stage0.prepare({ apps: [app('i=0; while [ $i -lt 20 ]; do notify "" READY=0 READY=11 XREADY=1 $(seq 1 90 | tr -d "\n"); i=$((i+1)); done; exit 3', {}, NOTIFIES)] });
    const end = await pod.run().end();
    expect(end.status).toBe(3);
    expect(pod.ready).toBe(false);
  });

  it('a service manager that is not there is told in one line', async () => {
    const pod = own.stage0.prepare({ apps: [app('echo ran')] });
    const end = await pod.run(undefined, { env: { NOTIFY_SOCKET: join(own.dir, 'nobody') } }).end();
    expect({ status: end.status, stdout: end.stdout }).toEqual({ status: 0, stdout: 'ran\n' });
    expect(end.stderr).toMatch(/^stage1: NOTIFY_SOCKET: that the pod is ready cannot be told: connect.*ENOENT.*\n$/);
  });

  it.skipIf(!existsSync('/usr/bin/systemd-notify'))('systemd’s own client, as a user', async () => {
    const root = join(own.dir, 'systemd');
    execFileSync('cp', ['-a', own.rootfs, root], { timeout: HANG_MS });
    const libraries = [...execFileSync('ldd', ['/usr/bin/systemd-notify'], { encoding: 'utf8', timeout: HANG_MS }).matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string);
    for (const file of ['/usr/bin/systemd-notify', ...libraries]) {
      mkdirSync(join(root, dirname(file)), { recursive: true });
      copyFileSync(file, join(root, file));
    }
    const path = join(own.dir, 'manager-3');
    const systemd = await manager(path);
    const pod = own.stage0.prepare({ apps: [{ ...app('systemd-notify --ready --status=up; echo "told $?"; sleep 1000', { user: '65534', group: '65534' }, NOTIFIES), rootfs: root }] });
    const running = pod.run(undefined, { env: { NOTIFY_SOCKET: path } });
    expect(await systemd.said(running)).toBe('open\n<READY=1\\n>\n');
    expect(await running.said('told')).toContain('told 0');
    await pod.stop();
    await running.end();
  });
});

describe.skipIf(!ROOT)('what keeps an app from its command', () => {
  it('a working directory that is not there: nothing is made, 200 as systemd has it', async () => {
    const pod = own.stage0.prepare({ apps: [app('echo never', { workingDirectory: '/no/such' })] });
    const end = await pod.run().end();
    expect({ status: end.status, stdout: end.stdout }).toEqual({ status: 200, stdout: '' });
    expect(end.stderr).toMatch(/^stage1: .*working directory '\/no\/such': No such file or directory\n$/);
    expect(existsSync(join(pod.s1, 'opt/stage2/app/rootfs/no'))).toBe(false);
  });
});
