/** rkt's stage1 by its entry points, as stage0 calls them; on the software CPU where there is no KVM that is hardware. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HANG_MS } from '../support/limits.ts';
import { ownStage0 } from './own-stage0.ts';
import { type AppSpec, ended } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const own = ownStage0();

const shell = (script: string, more: Record<string, unknown> = {}, entry: Record<string, unknown> = {}, name = 'app'): AppSpec => ({ name, rootfs: own.rootfs, app: { exec: ['/bin/sh', '-c', script], user: '0', group: '0', ...more }, entry });

describe.skipIf(!ROOT)('run', () => {
  it.each([true, false])('an app from its start to gc; overlay: %s', async (overlay) => {
    const pod = own.stage0.prepare({ apps: [shell('echo out; echo err >&2; echo kept > /written; exit 33')], overlay });
    const running = pod.run();
    const { status, stdout, stderr } = await running.end();
    expect({ status, stdout, stderr }).toEqual({ status: 33, stdout: 'out\n', stderr: 'err\n' });
    expect(pod.status('app')).toBe('33\n');
    expect(readFileSync(join(pod.dir, 'logs/app.out'), 'utf8')).toBe('out\n');
    expect(readFileSync(join(pod.dir, 'logs/app.err'), 'utf8')).toBe('err\n');
    expect(statSync(join(pod.dir, 'logs/app.out')).mode & 0o777).toBe(0o640);
    for (const name of ['pid', 'ppid']) expect(readFileSync(join(pod.dir, name), 'utf8')).toBe(`${running.child.pid}\n`);
    // What the app writes lies where rkt expects it.
    expect(readFileSync(join(pod.s1, 'opt/stage2/app/rootfs/written'), 'utf8')).toBe('kept\n');
    expect(pod.locked).toBe(false);
    expect(await pod.gc()).toMatchObject({ status: 0, stderr: '' });
    expect(await pod.gc()).toMatchObject({ status: 0, stderr: '' });
    pod.remove();
  });

  it('tells its state to rkt while it runs: lock, pid, readiness, environment', async () => {
    const pod = own.stage0.prepare({ apps: [shell('echo runs; sleep 1000', { environment: [{ name: 'A', value: 'b c' }] })] });
    const running = pod.run();
    await running.said('runs');
    expect(pod.locked).toBe(true);
    expect(pod.status('app')).toBeUndefined();
    expect(readFileSync(join(pod.s1, 'rkt/env/app'), 'utf8')).toMatch(/^PATH=\/usr\/local\/sbin:\/usr\/local\/bin:\/usr\/sbin:\/usr\/bin:\/sbin:\/bin\nSHELL=\/bin\/sh\nUSER=root\nLOGNAME=root\nHOME=\/root\nA=b c\nAC_APP_NAME=app\nAC_METADATA_URL=http:\/\/169\.254\.169\.254\/[0-9a-f]{32}\n$/);
    expect(readFileSync(`/proc/${running.child.pid}/cmdline`, 'latin1')).toContain(pod.uuid);
    expect((await pod.stop()).status).toBe(0);
    // An app that a stop has ended is no failure of the pod.
    expect(await running.end()).toMatchObject({ status: 0, stderr: '' });
    expect(pod.ready).toBe(true);
    expect(pod.status('app')).toBe('15\n');
    expect(pod.locked).toBe(false);
  });

  it('the end of one app with 0 leaves the others; another status ends the pod', async () => {
    const pod = own.stage0.prepare({ apps: [shell('exit 0', {}, {}, 'first'), shell('sleep 0.2; exit 5', {}, {}, 'second'), shell('sleep 1000', {}, {}, 'third')] });
    expect(await pod.run().end()).toMatchObject({ status: 5 });
    expect(['first', 'second', 'third'].map((name) => pod.status(name))).toEqual(['0\n', '5\n', '15\n']);
  });

  it('apps share processes, host name and loopback, and nothing of their roots', async () => {
    const pod = own.stage0.prepare({
      apps: [
        shell('hostname; while [ ! -s /vol/pid ]; do sleep 0.05; done; ls / | grep -c theirs; kill $(cat /vol/pid)', {}, { mounts: [{ volume: 'v', path: '/vol' }] }, 'a'),
        shell('touch /theirs; echo $$ > /vol/pid; exec sleep 1000', {}, { mounts: [{ volume: 'v', path: '/vol' }] }, 'b'),
      ],
      pod: { volumes: [{ name: 'v', kind: 'empty' }] },
    });
    const { status, stdout } = await pod.run(['--net=none', '--hostname=podname']).end();
    expect({ status, stdout }).toEqual({ status: 15, stdout: 'podname\n0\n' });
    expect(['a', 'b'].map((name) => pod.status(name))).toEqual(['0\n', '15\n']);
    expect(readdirSync(join(pod.dir, 'sharedVolumes/v'))).toEqual(['pid']);
  });

  it('volumes: of the host, read-only, a single file, behind a link, and a mount point without one', async () => {
    const host = join(own.dir, 'volume');
    mkdirSync(host, { recursive: true });
    writeFileSync(join(host, 'file'), 'of the host\n');
    symlinkSync(host, join(own.dir, 'link'));
    const mounts = [{ volume: 'rw', path: '/rw' }, { volume: 'ro', path: '/ro' }, { volume: 'one', path: '/one' }];
    const script = 'cat /rw/file /one; echo new > /rw/new; echo x > /ro/x; echo x > /one; touch /point/x && ls -ld /point | cut -c1-10';
    const pod = own.stage0.prepare({
      apps: [shell(script, { mountPoints: [{ name: 'point', path: '/point' }] }, { mounts })],
      pod: { volumes: [{ name: 'rw', kind: 'host', source: join(own.dir, 'link') }, { name: 'ro', kind: 'host', source: host, readOnly: true }, { name: 'one', kind: 'host', source: join(host, 'file'), readOnly: true }] },
    });
    const { status, stdout, stderr } = await pod.run().end();
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'of the host\nof the host\ndrwxr-xr-x\n' });
    expect(stderr.match(/Read-only file system/g)).toHaveLength(2);
    expect(stderr).toContain('no volume for mount point point');
    expect(readFileSync(join(host, 'new'), 'utf8')).toBe('new\n');
    expect(readdirSync(join(pod.dir, 'sharedVolumes'))).toEqual(['app-point']);
  });

  it('a read-only root, volumes with mounts below, and a log that is put aside at 10 MiB', async () => {
    const host = join(own.dir, 'deep');
    mkdirSync(join(host, 'sub'), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(host, 'sub')], { timeout: HANG_MS });
    try {
      writeFileSync(join(host, 'sub/file'), 'below\n');
      const volumes = [{ name: 'all', readOnly: true }, { name: 'flat', recursive: false }, { name: 'open' }].map((each) => ({ kind: 'host', source: host, ...each }));
      const mounts = volumes.map(({ name }) => ({ volume: name, path: `/vol/${name}` }));
      const script = 'touch /x; cat /vol/all/sub/file; ls /vol/flat/sub | wc -l; touch /vol/all/sub/x; echo y > /vol/open/sub/y; head -c 11000000 /dev/zero | tr "\\0" x';
      const pod = own.stage0.prepare({ apps: [shell(script, {}, { readOnlyRootFS: true, mounts })], pod: { volumes } });
      const { status, stdout, stderr } = await pod.run().end();
      expect({ status, head: stdout.slice(0, 8), size: stdout.length }).toEqual({ status: 0, head: 'below\n0\n', size: 11_000_008 });
      expect(stderr.match(/touch: (\/x|\/vol\/all\/sub\/x): Read-only file system/g)).toHaveLength(2);
      expect(readFileSync(join(host, 'sub/y'), 'utf8')).toBe('y\n');
      const sizes = ['app.out.1', 'app.out'].map((name) => statSync(join(pod.dir, 'logs', name)).size);
      expect(sizes[0]! + sizes[1]!).toBe(11_000_008);
      expect(sizes[0]).toBeLessThanOrEqual(10 << 20);
      expect(sizes[0]).toBeGreaterThan(10_000_000);
    } finally {
      execFileSync('umount', [join(host, 'sub')], { timeout: HANG_MS });
    }
  });

  it('names and hosts as stage0 gives them; system calls that an isolator removes, no new privileges', async () => {
    const isolators = [{ name: 'os/linux/seccomp-remove-set', value: { set: ['mkdir', 'mkdirat'], errno: 'EDQUOT' } }, { name: 'os/linux/no-new-privileges', value: true }];
    const pod = own.stage0.prepare({ apps: [shell('cat /etc/resolv.conf /etc/hosts /etc/hostname; mkdir /d; grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status', { isolators })] });
    mkdirSync(join(pod.s1, 'etc'), { recursive: true });
    writeFileSync(join(pod.s1, 'etc/rkt-resolv.conf'), '# Generated by rkt run\n\nnameserver 10.9.8.7\n');
    writeFileSync(join(pod.s1, 'etc/rkt-hosts'), '127.0.0.1 localhost\n\n# Added by rkt run --hosts-entry\n10.1.2.3 db\n');
    const { stdout, stderr, status } = await pod.run(['--net=none', '--hostname=named', '--dns-conf-mode=resolv=stage0,hosts=stage0']).end();
    expect({ stdout, status }).toEqual({ status: 0, stdout: '# Generated by rkt run\n\nnameserver 10.9.8.7\n127.0.0.1 localhost named\n\n# Added by rkt run --hosts-entry\n10.1.2.3 db\nnamed\nNoNewPrivs:\t1\nSeccomp:\t2\n' });
    expect(stderr).toMatch(/can't create directory '\/d': Disk quota exceeded/i);
  });

  it('has rkt’s directories where the image has none, and rkt’s paths hidden; the lock is held by nobody else', async () => {
    const bare = join(own.dir, 'bare');
    mkdirSync(join(bare, 'bin'), { recursive: true });
    execFileSync('cp', ['/bin/busybox', join(bare, 'bin/busybox')]);
    const script = 'for a in ls stat wc sleep cat; do /bin/busybox ln -s busybox /bin/$a; done; stat -c "%a %F %n" /tmp /run /dev/ptmx /sys/fs; for p in /sys/fs /sys/module /sys/firmware; do ls $p | wc -l; done; cat /proc/kallsyms 2> /dev/null | wc -l; echo x > /proc/sys/kernel/core_pattern; stat -c "%a %t:%T" /dev/net/tun; : <> /dev/net/tun && echo tun; echo looked; exec sleep 1000';
    const pod = own.stage0.prepare({ apps: [{ name: 'app', rootfs: bare, app: { exec: ['/bin/busybox', 'sh', '-c', script], user: '0', group: '0' } }] });
    const running = pod.run(['--net=none'], { lockFd: 40 });
    await running.said('looked');
    const fds = `/proc/${running.child.pid}`;
    const locks = readdirSync(`${fds}/fd`).filter((fd) => readlinkSync(`${fds}/fd/${fd}`) === pod.dir && readFileSync(`${fds}/fdinfo/${fd}`, 'utf8').includes('FLOCK'));
    // Programs that it starts do not get it: O_CLOEXEC.
    expect(locks.map((fd) => /flags:\s+0*2\d{6}$/m.test(readFileSync(`${fds}/fdinfo/${fd}`, 'utf8')))).toEqual([true]);
    await pod.stop();
    const end = await running.end();
    expect(end.stdout).toBe('1777 directory /tmp\n755 directory /run\n777 symbolic link /dev/ptmx\n0 directory /sys/fs\n0\n0\n0\n0\n666 a:c8\ntun\nlooked\n');
    expect(end.stderr).toContain('core_pattern: Read-only file system');
  });

  it('users by name, number and path; groups; capabilities; limits; handlers', async () => {
    writeFileSync(join(own.rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:4321:4322::/:/bin/sh\n');
    writeFileSync(join(own.rootfs, 'etc/group'), 'root:x:0:\nwww:x:4400:\n');
    const isolators = [
      { name: 'os/linux/capabilities-retain-set', value: { set: ['CAP_KILL', 'CAP_CHOWN'] } },
      { name: 'resource/memory', value: { limit: '64M' } },
      { name: 'resource/cpu', value: { limit: '500m' } },
      { name: 'os/linux/oom-score-adj', value: 100 },
    ];
    const eventHandlers = [{ name: 'pre-start', exec: ['/bin/sh', '-c', 'echo before $(id -u) $AC_APP_NAME'] }, { name: 'post-stop', exec: ['/bin/sh', '-c', 'echo after'] }];
    const script = 'id -u; id -g; id -G; grep CapBnd /proc/self/status; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /proc/self/oom_score_adj';
    const pod = own.stage0.prepare({ apps: [shell(script, { user: 'web', group: 'www', supplementaryGIDs: [7, 8], isolators, eventHandlers })], pod: { isolators: [{ name: 'resource/cpu', value: { limit: '250m' } }, { name: 'resource/memory', value: { limit: '1G' } }] } });
    // Else /sys/fs is not to be seen.
    const { status, stdout } = await pod.run(['--net=none', '--disable-paths']).end();
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'before 0 app\n4321\n4400\n4400 7 8\nCapBnd:\t0000000000000021\n64000000\n25000 100000\n100\nafter\n'.replace('64000000', String(Math.floor(64_000_000 / 4096) * 4096)) });
  });

  it('a stop ends handlers, too, and asked twice it is still in order', async () => {
    const eventHandlers = [{ name: 'pre-start', exec: ['/bin/sh', '-c', 'echo waits; sleep 1000'] }];
    const pod = own.stage0.prepare({ apps: [shell('echo never', { eventHandlers }), shell('trap "sleep 0.5; echo bye; exit 0" TERM; while :; do sleep 0.1; done', {}, {}, 'other')] });
    const running = pod.run();
    await running.said('waits');
    await running.shows('other can be entered', async () => existsSync(join(pod.dir, 'pid')) && (await pod.enter(['/bin/true'], 'other')).status === 0);
    expect((await Promise.all([pod.stop(), pod.stop()])).map(({ status }) => status)).toEqual([0, 0]);
    const end = await running.end();
    expect(end.stdout).toContain('bye');
    expect(end.stdout).not.toContain('never');
    expect(pod.status('other')).toBe('0\n');
  });

  it('a signal’s death is its number; what cannot be executed is 203', async () => {
    const pod = own.stage0.prepare({ apps: [shell('kill -9 $$')] });
    expect((await pod.run().end()).status).toBe(9);
    expect(pod.status('app')).toBe('9\n');
    const none = own.stage0.prepare({ apps: [{ name: 'app', rootfs: own.rootfs, app: { exec: ['/no/such'], user: '0', group: '0' } }] });
    const end = await none.run().end();
    expect(end.status).toBe(203);
    expect(end.stderr).toMatch(/^stage1: .*\/no\/such.*\n$/);
  });
});

describe.skipIf(!ROOT)('refused, in one line, with 254', () => {
  const refusals: readonly (readonly [what: string, flags: readonly string[], more: Record<string, unknown>, pod: Record<string, unknown>, message: RegExp])[] = [
    ['--private-users', ['--private-users=1000:1000', '--net=none'], {}, {}, /flag --private-users cannot be used with an lkvm stage1/],
    ['--net=host', ['--net=host'], {}, {}, /--net=host/],
    ['--ipc=parent', ['--net=none', '--ipc=parent'], {}, {}, /--ipc=parent/],
    ['an empty exec', ['--net=none'], { exec: [] }, {}, /image "example.com\/app" has an empty "exec"/],
    ['an unknown user', ['--net=none'], { user: 'nobody-here' }, {}, /user nobody-here is not in its \/etc\/passwd/],
    ['a command that is not there', ['--net=none'], { exec: ['nothere'] }, {}, /unable to find "nothere" in/],
    ['a volume that is not there', ['--net=none'], {}, { volumes: [{ name: 'v', kind: 'host', source: '/no/such/place' }], apps: 'mounted' }, /volume v: \/no\/such\/place: ENOENT/],
    ['two volumes of one name', ['--net=none'], {}, { volumes: [{ name: 'v', kind: 'empty' }, { name: 'v', kind: 'empty' }] }, /volumes: has two of "v"/],
    ['too much memory', ['--net=none'], { isolators: [{ name: 'resource/memory', value: { limit: '9G' } }] }, {}, /need \d+ MiB of memory, a machine has at most 3072 MiB/],
  ];
  it.each(refusals)('%s', async (_what, flags, more, { apps, ...fields }, message) => {
    const pod = own.stage0.prepare({ apps: [shell('true', more, apps === 'mounted' ? { mounts: [{ volume: 'v', path: '/v' }] } : {})], pod: fields });
    const { status, stderr, stdout } = await pod.run(flags).end();
    expect({ status, stdout }).toEqual({ status: 254, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(existsSync(join(pod.dir, 'pid'))).toBe(false);
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
  });
});

describe.skipIf(!ROOT)('beside a running pod', () => {
  it('enter: status, streams, environment, errors; from another copy of the program', async () => {
    const pod = own.stage0.prepare({ apps: [shell('echo runs; sleep 1000', { environment: [{ name: 'A', value: 'b c' }] })] });
    const running = pod.run();
    await running.said('runs');
    expect(await pod.enter(['/bin/sh', '-c', 'cat; echo "$A $AC_APP_NAME $TERM"; echo no >&2; exit 33'], 'app', 'given\n')).toMatchObject({ status: 33, stdout: 'given\nb c app vt220\n', stderr: 'no\n' });
    expect(await pod.enter(['/bin/true'], 'other')).toMatchObject({ status: 254, stderr: expect.stringContaining('app other does not run') });
    expect(await pod.enter(['/no/such'])).toMatchObject({ status: 254, stderr: expect.stringContaining('/no/such') });
    // A million bytes each way.
    const many = 'x'.repeat(1 << 20);
    expect((await pod.enter(['/bin/cat'], 'app', many)).stdout).toBe(many);
    expect(statSync(join(pod.dir, 'vmm.sock')).mode & 0o777).toBe(0o600);
    expect((await pod.stop('--force')).status).toBe(0);
    expect(await running.end()).toMatchObject({ signal: 'SIGKILL' });
    expect(pod.locked).toBe(false);
    expect(await pod.enter(['/bin/true'])).toMatchObject({ status: 254, stderr: expect.stringContaining('does it run?') });
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
  });

  it('attach: endpoints, input and output of an app with streams; none of one without', async () => {
    const stream = ['stdin', 'stdout', 'stderr'].map((name) => ({ name: `coreos.com/rkt/stage2/${name}`, value: 'stream' }));
    const script = 'while read line; do echo "got $line"; echo "err $line" >&2; done; exit 4';
    const pod = own.stage0.prepare({ apps: [shell(script, {}, { annotations: stream }), shell('sleep 1000', {}, {}, 'other')] });
    const running = pod.run();
    await running.shows('the pod is ready', () => pod.ready);
    expect(JSON.parse((await pod.attach(['--action=list'])).stdout)).toEqual({ version: 1, targets: ['stdin', 'stdout', 'stderr'].map((name) => ({ name, domain: 'unix', address: `/rkt/iottymux/app/sock-${name}` })) });
    expect(await pod.attach(['--action=auto-attach'], '', 'other')).toMatchObject({ status: 254, stderr: expect.stringContaining('cannot be attached to') });
    // The end of the client's input is the app's.
    expect(await pod.attach(['--action=custom-attach', '--stdin=true', '--stdout=true', '--stderr=false'], 'one\ntwo\n')).toMatchObject({ status: 0, stdout: 'got one\ngot two\n', stderr: '' });
    expect(await running.end()).toMatchObject({ status: 4, stderr: expect.stringContaining('err two') });
  });

  it('SIGTERM is an orderly end', async () => {
    const pod = own.stage0.prepare({ apps: [shell('trap "echo bye; exit 0" TERM; echo runs; while :; do sleep 0.1; done')] });
    const running = pod.run();
    await running.said('runs');
    running.child.kill('SIGTERM');
    expect(await running.end()).toMatchObject({ status: 0, stdout: 'runs\nbye\n' });
    expect(pod.status('app')).toBe('0\n');
  });
});

const ASK = 'busybox wget -q -O - $AC_METADATA_URL/acMetadata/v1';

it.skipIf(!ROOT)('a pod asks for its metadata in its own guest, without a network; another pod verifies what it signs', async () => {
  const pods = ['first', 'second'].map((name) => own.stage0.prepare({ apps: [shell(`${ASK}/pod/uuid; echo; ${ASK}/apps/$AC_APP_NAME/image/id; echo; ${ASK}/pod/hmac/sign --post-data content=${name}; echo; echo told; sleep 1000`, {}, {}, name)] }));
  const running = pods.map((pod) => pod.run(['--net=none']));
  const told = await Promise.all(running.map((each) => each.said('told')));
  const [uuid, id, signature = ''] = (told[0] as string).split('\n');
  expect([uuid, id]).toEqual([pods[0]?.uuid, expect.stringMatching(/^sha512-[0-9a-f]+$/)]);
  const verify = (content: string): Promise<{ stdout: string }> => (pods[1] as (typeof pods)[number]).enter(['/bin/sh', '-c', `${ASK}/pod/hmac/verify --post-data 'content=${content}&uuid=${uuid}&signature=${encodeURIComponent(signature)}' 2>&1 && echo verified`], 'second') as Promise<{ stdout: string }>;
  expect((await verify('first')).stdout).toBe('verified\n');
  expect((await verify('other')).stdout).toContain('403');
  // It takes the token.
  expect((await (pods[1] as (typeof pods)[number]).enter(['/bin/sh', '-c', `${ASK.replace('$AC_METADATA_URL', 'http://169.254.169.254/0')}/pod/uuid 2>&1`], 'second') as { stdout: string }).stdout).toContain('404');
  for (const pod of pods) await pod.stop();
  expect((await Promise.all(running.map((each) => each.end()))).map(({ status, stderr }) => ({ status, stderr }))).toEqual([{ status: 0, stderr: '' }, { status: 0, stderr: '' }]);
});

it.skipIf(!ROOT)('enter waits for an app that is still being started, and says so of one that has ended', async () => {
  const pod = own.stage0.prepare({ apps: [shell('exit 0', {}, {}, 'short'), shell('echo runs; sleep 1000')] });
  const running = pod.run(['--net=none']);
  // As rkt does: from the moment that there is a process.
  await running.shows('it has a process', () => existsSync(join(pod.dir, 'pid')));
  expect(await pod.enter(['/bin/cat', '/proc/1/comm'], 'app', 'typed ahead\n')).toMatchObject({ status: 0, stderr: '' });
  expect(await pod.enter(['/bin/cat'], 'app', 'typed\n')).toMatchObject({ status: 0, stdout: 'typed\n' });
  await running.shows('short has ended', () => pod.status('short') !== undefined);
  expect(await pod.enter(['/bin/cat'], 'short')).toMatchObject({ status: 254, stderr: expect.stringContaining('does not run') });
  await pod.stop();
  expect((await running.end()).status).toBe(0);
});

it.skipIf(!ROOT)('a Docker image’s volumes begin with what the image has there; a volume’s readOnly counts before its mount point’s', async () => {
  const tree = join(own.dir, 'of-docker');
  execFileSync('cp', ['-a', own.rootfs, tree], { timeout: HANG_MS });
  mkdirSync(join(tree, 'data/below'), { recursive: true });
  writeFileSync(join(tree, 'data/below/file'), 'of the image\n', { mode: 0o640 });
  symlinkSync('/etc/passwd', join(tree, 'data/link'));
  execFileSync('chown', ['-R', '7:8', join(tree, 'data')], { timeout: HANG_MS });
  chmodSync(join(tree, 'data'), 0o2770);
  symlinkSync('/data', join(tree, 'also'));
  writeFileSync(join(tree, 'etc/passwd'), 'root:x:0:0::/:/\nserver:x:70:71::/:/\n');
  const mountPoints = [{ name: 'data', path: '/also' }, { name: 'open', path: '/open', readOnly: true }, { name: 'shut', path: '/shut', readOnly: true }];
  const app = { exec: ['/bin/sh', '-c', 'stat -c "%a %u %g %n" /data /data/below/file; readlink /data/link; cat /data/below/file; echo x > /open/made && echo open; echo x > /shut/made || echo shut; id -u; id -g'], user: '0', group: '0', mountPoints };
  const docker = { annotations: [{ name: 'appc.io/docker/repository', value: 'library/x' }] };
  const volumes = [{ name: 'open', kind: 'empty', readOnly: false }, { name: 'shut', kind: 'empty' }];
  const { stdout, status } = await own.stage0.prepare({ apps: [{ name: 'app', rootfs: tree, image: docker, app }], pod: { volumes } }).run(['--net=none']).end();
  expect({ stdout, status }).toEqual({ status: 0, stdout: '2770 7 8 /data\n640 7 8 /data/below/file\n/etc/passwd\nof the image\nopen\nshut\n0\n0\n' });
  // A group of its user's name that is not there: the user's number, for such an image alone.
  const groupless = (image: Record<string, unknown>): Promise<{ status: number | null; stdout: string; stderr: string }> => own.stage0.prepare({ apps: [{ name: 'app', rootfs: tree, image, app: { exec: ['/bin/id', '-g'], user: 'server', group: 'server' } }] }).run(['--net=none']).end();
  expect(await groupless(docker)).toMatchObject({ status: 0, stdout: '70\n' });
  expect(await groupless({})).toMatchObject({ status: 254, stderr: expect.stringContaining('group server is not in its /etc/group') });
});

it.skipIf(!ROOT)('apps come and go in a mutable pod, and nothing of them stays open', async () => {
  const pod = own.stage0.prepare({ apps: [] });
  const running = pod.run(['--net=none', '--mutable']);
  await running.shows('the pod is ready', () => pod.ready);
  const host = join(own.dir, 'mutable');
  mkdirSync(host, { recursive: true });
  const late = shell(`echo late runs; ${ASK}/apps/late/image/manifest | grep -q example.com/late && echo is told of; echo x > /vol/made; sleep 1000`, {}, { mounts: [{ volume: 'v', path: '/vol', appVolume: { name: 'v', kind: 'host', source: host } }] }, 'late');
  expect(await pod.addApp(late)).toMatchObject({ status: 0, stderr: '' });
  expect(await pod.app('start', 'late')).toMatchObject({ status: 0 });
  await running.said('is told of');
  expect(await pod.enter(['/bin/cat', '/vol/made'], 'late')).toMatchObject({ status: 0, stdout: 'x\n' });
  expect(await pod.app('start', 'late')).toMatchObject({ status: 254, stderr: expect.stringContaining('runs already') });
  expect(await pod.addApp(shell('exit 3', {}, {}, 'short'))).toMatchObject({ status: 0 });
  expect(await pod.app('start', 'short')).toMatchObject({ status: 0 });
  await running.shows('short has ended', () => pod.status('short') !== undefined);
  // A mutable pod goes on, whatever its apps end with.
  expect(pod.status('short')).toBe('3\n');
  expect(await pod.app('stop', 'late')).toMatchObject({ status: 0 });
  expect(pod.status('late')).toBe('15\n');
  expect(await pod.app('stop', 'late')).toMatchObject({ status: 0 });
  expect(await pod.app('start', 'late')).toMatchObject({ status: 0 });
  const logs = (): number => readdirSync(`/proc/${running.child.pid}/fd`).filter((fd) => readlinkSync(`/proc/${running.child.pid}/fd/${fd}`).includes('/logs/late.')).length;
  expect(logs()).toBe(2);
  expect(await pod.app('rm', 'late')).toMatchObject({ status: 0 });
  expect(logs()).toBe(0);
  pod.unmountApp('late');
  expect(await pod.app('rm', 'late')).toMatchObject({ status: 254, stderr: expect.stringContaining('is not in this pod') });
  expect(await pod.app('stop', 'none')).toMatchObject({ status: 254 });
  expect((await pod.stop()).status).toBe(0);
  expect(await running.end()).toMatchObject({ status: 0 });
});

it.skipIf(!ROOT)('entry points need nothing of the host’s libraries', async () => {
  const pod = own.stage0.prepare({ apps: [shell('echo runs alone')] });
  // A busybox that is static starts them where neither /lib nor /usr is.
  const busybox = join(own.dir, 'busybox');
  execFileSync('cp', ['/bin/busybox', busybox]);
  chmodSync(busybox, 0o755);
  const inNone = (command: string): ReturnType<typeof ended> => ended(spawn('unshare', ['-m', busybox, 'sh', '-c', `for m in lib lib64 usr; do ${busybox} mount -t tmpfs none /$m; done; cd ${pod.dir} && exec ${command}`], { stdio: ['ignore', 'pipe', 'pipe'] }));
  expect(await inNone(`${pod.s1}/run --net=none ${pod.uuid}`)).toMatchObject({ status: 0, stdout: 'runs alone\n' });
  expect(await inNone(`${own.stage0.tree}/enter --pid=1 --appname=app -- true`)).toMatchObject({ status: 254, stderr: expect.stringContaining('does it run?') });
  expect(await inNone(`${pod.s1}/attach --action=list --app=app --debug=false`)).toMatchObject({ status: 254, stderr: expect.stringContaining('cannot be attached to') });
  expect(await inNone(`${pod.s1}/app-start --debug=false --app=app`)).toMatchObject({ status: 254, stderr: expect.stringContaining('does it run?') });
  expect(await inNone(`${pod.s1}/stop ${pod.uuid}`)).toMatchObject({ status: 254, stderr: expect.stringContaining('is not there') });
  expect(await inNone(`${pod.s1}/gc ${pod.uuid}`)).toMatchObject({ status: 0 });
});
