import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilities, container, finish, type Guest, makeRoot, Reader, reasonToSkip, run, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const RLIMIT_NOFILE = 7;
const RLIMIT_CORE = 4;
/** 1048576, or what this machine lets root have. */
const MOST_FILES = execFileSync('sh', ['-c', 'ulimit -n 1048576 2>/dev/null; ulimit -Hn'], { encoding: 'utf8' }).trim();

describe.skipIf(skip !== undefined)(`init: containers${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  describe('user', () => {
    const ids = 'id -u; id -g; id -G; echo $HOME';
    it.each([
      ['none: root with the groups of root', undefined, '0\n0\n0 10\n/root\n'],
      ['alice: her group, and the groups that list her', 'alice', '1000\n1000\n1000 10 29\n/home/alice\n'],
      ['1000: the same by number', '1000', '1000\n1000\n1000 10 29\n/home/alice\n'],
      ['alice:video: no others', 'alice:video', '1000\n44\n44\n/home/alice\n'],
      ['alice:555: a group without an entry', 'alice:555', '1000\n555\n555\n/home/alice\n'],
      ['4242: no entry, group 0', '4242', '4242\n0\n0\n/\n'],
      ['4242:10', '4242:wheel', '4242\n10\n10\n/\n'],
      ['1234: a number is never a name', '1234', '1234\n0\n0\n/\n'],
    ])('%s', async (_name, user, expected) => {
      const result = await sh(guest, ids, user === undefined ? {} : { user });
      expect(result.stdout).toBe(expected);
    });

    it('additional groups by name and number', async () => {
      const result = await sh(guest, 'id -G', { user: 'alice:alice', groups: ['video', '777'] });
      expect(result.stdout).toBe('1000 44 777\n');
    });

    it.each([
      ['root', undefined, '0 10'],
      ['the user\'s own group beside those that list her', 'alice', '10 29 1000'],
      ['the same once, where the group lists its own user', 'alice:wheel', '10'],
      ['uid and gid without entries', '1234:1234', '1234'],
    ])('the primary group is a supplementary one too: %s', async (_name, user, expected) => {
      const result = await sh(guest, 'grep Groups /proc/self/status', user === undefined ? {} : { user });
      expect(result.stdout.trim()).toBe(`Groups:\t${expected}`);
    });

    it('a set-group-id program cannot shed the group that a file denies', async () => {
      const root = makeRoot(mkdtempSync(join(guest.directory, 'setgid-')));
      const source = join(guest.directory, 'setgid.c');
      writeFileSync(source, '#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\nint main(void) { if (setregid(getegid(), getegid())) return 2; int fd = open("/neg", O_RDONLY); puts(fd < 0 ? "denied" : "opened"); return 0; }\n');
      execFileSync('gcc', ['-static', '-o', join(root, 'bin/setgid'), source]);
      chownSync(join(root, 'bin/setgid'), 0, 44);
      chmodSync(join(root, 'bin/setgid'), 0o2755);
      writeFileSync(join(root, 'neg'), 'secret\n');
      chownSync(join(root, 'neg'), 0, 1000);
      chmodSync(join(root, 'neg'), 0o604);
      expect((await sh(guest, 'setgid', { root: { kind: 'directory', path: root }, user: 'alice' })).stdout).toBe('denied\n');
    });

    it('HOME of the environment stays', async () => {
      expect((await sh(guest, 'echo $HOME', { env: ['PATH=/bin', 'HOME=/mine'] })).stdout).toBe('/mine\n');
    });
  });

  it('environment and arguments: exactly as given', async () => {
    const result = await run(guest, ['/bin/sh', '-c', 'for a; do echo "<$a>"; done; echo "$X"', 'sh', '', 'a b', 'ü\n"'], {
      env: ['PATH=/bin', 'X=a=b\nc'],
    });
    expect(result.stdout).toBe('<>\n<a b>\n<ü\n">\na=b\nc\n');
  });

  it('capabilities: the default set, nothing ambient, and none for another user', async () => {
    const show = 'grep -E "^Cap" /proc/self/status';
    const root = await sh(guest, show);
    const mask = capabilities.bounding.toString(16).padStart(16, '0');
    const zero = '0'.repeat(16);
    expect(root.stdout).toBe(`CapInh:\t${zero}\nCapPrm:\t${mask}\nCapEff:\t${mask}\nCapBnd:\t${mask}\nCapAmb:\t${zero}\n`);
    const alice = await sh(guest, show, { user: 'alice' });
    expect(alice.stdout).toBe(`CapInh:\t${zero}\nCapPrm:\t${zero}\nCapEff:\t${zero}\nCapBnd:\t${mask}\nCapAmb:\t${zero}\n`);
  });

  it('ambient capability: kept by another user through execve', async () => {
    const netBind = 1n << 10n;
    const result = await sh(guest, 'grep CapEff /proc/self/status', {
      user: 'alice',
      capabilities: { ...capabilities, permitted: netBind, effective: netBind, inheritable: netBind, ambient: netBind },
    });
    expect(result.stdout).toBe(`CapEff:\t${netBind.toString(16).padStart(16, '0')}\n`);
  });

  it('signals: none is blocked or ignored', async () => {
    const result = await sh(guest, 'exec grep -E "^Sig(Blk|Ign)" /proc/self/status');
    expect(result.stdout).toBe(`SigBlk:\t${'0'.repeat(16)}\nSigIgn:\t${'0'.repeat(16)}\n`);
  });

  it('no_new_privs: set only when asked for', async () => {
    const show = 'grep NoNewPrivs /proc/self/status';
    expect((await sh(guest, show)).stdout).toBe('NoNewPrivs:\t0\n');
    expect((await sh(guest, show, { noNewPrivileges: true })).stdout).toBe('NoNewPrivs:\t1\n');
  });

  it.each([false, true])('seccomp filter (no_new_privs: %s): mkdir gives EPERM', async (noNewPrivileges) => {
    // BPF: load nr; if it is mkdir (83): ERRNO(EPERM); else allow. struct sock_filter: u16 code, u8 jt, u8 jf, u32 k
    const program = new Uint8Array(32);
    const view = new DataView(program.buffer);
    [
      [0x20, 0, 0, 0],
      [0x15, 0, 1, 83],
      [0x06, 0, 0, 0x00050001],
      [0x06, 0, 0, 0x7fff0000],
    ].forEach(([code = 0, jt = 0, jf = 0, k = 0], i) => {
      view.setUint16(8 * i, code, true);
      view.setUint8(8 * i + 2, jt);
      view.setUint8(8 * i + 3, jf);
      view.setUint32(8 * i + 4, k, true);
    });
    const result = await sh(guest, 'mkdir /x; grep Seccomp: /proc/self/status', { seccomp: { program }, noNewPrivileges });
    expect(result.stderr).toContain('Operation not permitted');
    expect(result.stdout).toBe('Seccomp:\t2\n');
  });

  it('rlimits: as given; the default for files is all that there may be', async () => {
    const result = await sh(guest, 'ulimit -Sn; ulimit -Hn; ulimit -c', {
      rlimits: [
        { resource: RLIMIT_NOFILE, soft: 100n, hard: 200n },
        { resource: RLIMIT_CORE, soft: 0n, hard: 0n },
      ],
    });
    expect(result.stdout).toBe('100\n200\n0\n');
    expect((await sh(guest, 'ulimit -Sn; ulimit -Hn')).stdout).toBe(`${MOST_FILES}\n${MOST_FILES}\n`);
  });

  it('a limit that cannot be is told by its name, with the most there is', async () => {
    const impossible = sh(guest, 'true', { rlimits: [{ resource: RLIMIT_NOFILE, soft: 1n << 40n, hard: 1n << 40n }] });
    await expect(impossible).rejects.toMatchObject({ code: 'AGENT_RLIMIT', message: `limit nofile to 1099511627776:1099511627776: Operation not permitted (the most is ${MOST_FILES})` });
  });

  it('umask and oom_score_adj: 022 and 0, or as given', async () => {
    expect((await sh(guest, 'umask; cat /proc/self/oom_score_adj')).stdout).toBe('0022\n0\n');
    const more = { umask: 0o077, oomScoreAdj: 500 };
    expect((await sh(guest, 'umask; cat /proc/self/oom_score_adj', more)).stdout).toBe('0077\n500\n');
  });

  it('host and domain name', async () => {
    const result = await sh(guest, 'hostname; cat /proc/sys/kernel/domainname', { hostname: 'host-1', domain: 'example.test' });
    expect(result.stdout).toBe('host-1\nexample.test\n');
  });

  it('root: writable through the overlay, the image unchanged, deleted files stay away', async () => {
    const result = await sh(guest, 'echo x >/new && rm /etc/passwd && ls /etc; cat /new; stat -c %a:%u:%g /');
    expect(result).toMatchObject({ stdout: 'group\nx\n755:0:0\n', stderr: '' });
    expect(existsSync(join(guest.root, 'new'))).toBe(false);
    expect(existsSync(join(guest.root, 'etc/passwd'))).toBe(true);
  });

  it('renaming a directory of the image works', async () => {
    expect((await sh(guest, 'mv /home /away && ls /away')).stdout).toBe('alice\n');
  });

  it('overlay size: the file system is full after it', async () => {
    const result = await sh(guest, 'dd if=/dev/zero of=/big bs=64k count=64', { overlay: { kind: 'tmpfs', size: 1_048_576n } });
    expect(result.stderr).toContain('No space left on device');
    expect(result.status.rootFull).toBe(true);
    expect((await sh(guest, 'echo x >/small', { overlay: { kind: 'tmpfs', size: 1_048_576n } })).status.rootFull).toBe(false);
  });

  it('the root is one file system: files and directories of the image, changed ones and new ones', async () => {
    const result = await sh(guest, 'echo x >/new; echo x >>/etc/group; stat -c %d / /etc /etc/passwd /etc/group /new /bin/busybox | sort -u | wc -l; find / -xdev -type f -name passwd');
    expect(result.stdout).toBe('1\n/etc/passwd\n');
  });

  it('a directory of the root as a mount: made when absent, its content kept, writable under --read-only', async () => {
    const script = 'ls /etc/passwd; touch /data/x /home/x && ls /home; touch /y 2>/dev/null || echo denied; stat -c "%a %u:%g" /data';
    const mounts = ['/data', '/home'].map((target) => ({ target, source: { kind: 'root', path: target } as const }));
    const result = await sh(guest, script, { mounts, readOnly: true });
    expect(result).toMatchObject({ stdout: '/etc/passwd\nalice\nx\ndenied\n755 0:0\n', stderr: '' });
  });

  it('--read-only: nothing can be written, but /proc, /dev, /etc/hosts and the directory are there', async () => {
    const result = await sh(guest, 'touch /x; pwd; cat /etc/hosts; test -c /dev/null && echo null; ls -d /proc/1', {
      readOnly: true,
      cwd: '/made/for/it',
      files: [{ target: '/etc/hosts', content: '127.0.0.1 localhost\n' }],
    });
    expect(result.stderr).toContain('Read-only file system');
    expect(result.stdout).toBe('/made/for/it\n127.0.0.1 localhost\nnull\n/proc/1\n');
  });

  it('no overlay, root read-only: files are bound over those of the image', async () => {
    const result = await sh(guest, 'cat /etc/group; touch /etc/x', {
      root: { kind: 'directory', path: withMountPoints(guest.root), readOnly: true },
      overlay: undefined as never,
      readOnly: true,
      files: [{ target: '/etc/group', content: 'host:x:1:\n' }],
    });
    expect(result.stdout).toBe('host:x:1:\n');
    expect(result.stderr).toContain('Read-only file system');
    expect(readFileSync(join(guest.root, 'etc/group'), 'utf8')).toContain('wheel');
  });

  it('cwd: made when absent', async () => {
    expect((await sh(guest, 'pwd; stat -c %u:%a .', { cwd: '/a/b c/d', user: 'alice' })).stdout).toBe('/a/b c/d\n0:755\n');
  });

  it('/dev: the standard nodes and links, a private devpts and shm', async () => {
    const script = 'for d in null zero full random urandom tty; do stat -c "%n %F %t:%T %a" /dev/$d; done; readlink /dev/ptmx; readlink /dev/fd; readlink /dev/stdin; ls /dev/pts; stat -f -c %T /dev/shm; stat -c %a /dev/shm';
    const lines = (await sh(guest, script)).stdout.split('\n');
    expect(lines.slice(0, 6)).toEqual([
      '/dev/null character special file 1:3 666',
      '/dev/zero character special file 1:5 666',
      '/dev/full character special file 1:7 666',
      '/dev/random character special file 1:8 666',
      '/dev/urandom character special file 1:9 666',
      '/dev/tty character special file 5:0 666',
    ]);
    expect(lines.slice(6)).toEqual(['pts/ptmx', '/proc/self/fd', '/proc/self/fd/0', 'ptmx', 'tmpfs', '1777', '']);
  });

  it('standard mounts that the host lists itself: its options, the same nodes and terminals', async () => {
    const mounts = [
      { target: '/proc', fstype: 'proc', flags: MS_NOSUID },
      { target: '/dev', fstype: 'tmpfs', flags: MS_NOSUID, data: 'mode=755,size=128k' },
      { target: '/dev/pts', fstype: 'devpts', data: 'newinstance,ptmxmode=0666,mode=0620,gid=5' },
      { target: '/dev/shm', fstype: 'tmpfs', device: 'shm', data: 'size=16k' },
    ];
    const process = guest.session.start(
      container(guest, ['/bin/sh', '-c', 'tty; grep -c " /dev/pts " /proc/mounts; grep -E " /(dev|dev/shm|proc) " /proc/mounts; echo x >/dev/null'], { mounts, tty: true }),
    );
    const reader = new Reader(process);
    expect((await process.wait()).status).toBe(0);
    const lines = reader.text.split('\r\n');
    expect(lines.slice(0, 2)).toEqual(['/dev/pts/0', '1']);
    expect(lines.slice(2)).toEqual([
      'proc /proc proc rw,nosuid,relatime 0 0',
      expect.stringMatching(/^tmpfs \/dev tmpfs rw,nosuid,relatime,size=128k,mode=755/),
      expect.stringMatching(/^shm \/dev\/shm tmpfs rw,relatime,size=16k/),
      '',
    ]);
  });

  it('/proc/mounts: nothing of init is seen', async () => {
    const mounts = (await sh(guest, 'cut -d " " -f 2 /proc/mounts')).stdout.trim().split('\n');
    expect(mounts).toContain('/');
    const allowed = /^(\/|\/proc|\/dev|\/dev\/(pts|shm|mqueue)|\/sys|\/sys\/fs\/cgroup)$/;
    expect(mounts.filter((mount) => !allowed.test(mount))).toEqual([]);
  });

  it('no descriptor beside the standard ones is inherited', async () => {
    expect((await sh(guest, 'ls /proc/$$/fd; true')).stdout).toBe('0\n1\n2\n');
  });

  it('masked and read-only paths; absent ones are no error', async () => {
    const result = await sh(guest, 'cat /proc/version; ls /proc/bus | wc -l; echo 1 >/proc/sys/kernel/hostname', {
      maskedPaths: ['/proc/version', '/proc/bus', '/proc/does-not-exist'],
      readonlyPaths: ['/proc/sys', '/proc/absent'],
    });
    expect(result.stdout).toBe('0\n');
    expect(result.stderr).toContain('Read-only file system');
    const modes = async (maskedClosed: boolean): Promise<string> => (await sh(guest, 'stat -c %a /proc/bus', { maskedPaths: ['/proc/bus'], maskedClosed })).stdout;
    expect([await modes(false), await modes(true)]).toEqual(['1777\n', '0\n']);
  });

  it('mounts: tmpfs with its flags, a bind of a directory read-only, of a file, of a subpath', async () => {
    const source = join(guest.directory, 'volume');
    mkdirSync(join(source, 'sub'), { recursive: true });
    writeFileSync(join(source, 'file'), 'content\n');
    writeFileSync(join(source, 'sub/inner'), 'inner\n');
    const result = await sh(
      guest,
      'grep " /scratch " /proc/mounts | cut -d " " -f 3-; cat /v/file /one /s/inner; touch /v/x; echo more >>/one; cat /one',
      {
        mounts: [
          { target: '/scratch', fstype: 'tmpfs', flags: MS_NOSUID | MS_NODEV | MS_NOEXEC, data: 'size=64k,mode=1777' },
          { target: '/v', source: { kind: 'directory', path: source }, flags: MS_RDONLY },
          { target: '/one', source: { kind: 'directory', path: join(source, 'file') } },
          { target: '/s', source: { kind: 'directory', path: source }, subpath: 'sub' },
        ],
      },
    );
    expect(result.stdout).toMatch(/^tmpfs rw,nosuid,nodev,noexec,relatime,size=64k.* 0 0\n/);
    expect(result.stdout.slice(result.stdout.indexOf('\n') + 1)).toBe('content\ncontent\ninner\ncontent\nmore\n');
    expect(result.stderr).toBe('touch: /v/x: Read-only file system\n');
    expect(readFileSync(join(source, 'file'), 'utf8')).toBe('content\nmore\n');
  });

  it('a link of the image cannot lead a mount, a file or a directory out of the root', async () => {
    const outside = join(guest.directory, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(guest.root, 'escape'));
    symlinkSync('../../../../../..', join(guest.root, 'up'));
    const result = await sh(guest, 'cat /escape/f; ls -d /up/escape', {
      cwd: '/escape/deep',
      files: [{ target: '/escape/f', content: 'inside\n' }],
      mounts: [{ target: '/up/escape/m', fstype: 'tmpfs' }],
    });
    expect(result.stderr).toBe('');
    expect(result.stdout).toBe('inside\n/up/escape\n');
    expect(existsSync(join(outside, 'f'))).toBe(false);
    expect(existsSync(join(outside, 'deep'))).toBe(false);
  });

  it('/proc of the image is a link: refused', async () => {
    const root = join(guest.directory, 'linked');
    mkdirSync(join(root, 'etc'), { recursive: true });
    symlinkSync('etc', join(root, 'proc'));
    await expect(sh(guest, 'true', { root: { kind: 'directory', path: root } })).rejects.toMatchObject({
      code: 'AGENT_MOUNT',
      message: "'/proc' of the root file system is not a directory",
    });
  });

  it('an empty image: mount points are made, the missing command is told', async () => {
    const root = join(guest.directory, 'empty');
    mkdirSync(root);
    await expect(run(guest, ['/hello'], { root: { kind: 'directory', path: root } })).rejects.toMatchObject({ exitStatus: 127 });
  });

  it('files: mode, owner, if-absent, and through a dangling link', async () => {
    symlinkSync('/run/resolve/stub', join(guest.root, 'etc/resolv.conf'));
    const result = await sh(guest, 'cat /etc/resolv.conf /etc/group /etc/hosts; stat -c "%a %u:%g" /etc/hosts', {
      files: [
        { target: '/etc/resolv.conf', content: 'nameserver 10.0.2.3\n' },
        { target: '/etc/group', content: 'replaced\n', ifAbsent: true },
        { target: '/etc/hosts', content: 'h\n', mode: 0o600, uid: 5, gid: 6 },
      ],
    });
    expect(result.stdout.startsWith('nameserver 10.0.2.3\nroot:x:0:\n')).toBe(true);
    expect(result.stdout.endsWith('h\n600 5:6\n')).toBe(true);
  });

  it('devices and sysctls', async () => {
    const result = await sh(guest, 'stat -c "%t:%T %a" /dev/extra/mem; cat /proc/sys/net/ipv4/ip_forward', {
      namespaces: { net: 'new' },
      devices: [{ target: '/dev/extra/mem', type: 'c', major: 1, minor: 5, mode: 0o640 }],
      sysctls: ['net.ipv4.ip_forward=1'],
    });
    expect(result.stdout).toBe('1:5 640\n1\n');
  });

  it('network: the loopback interface is up, in the machine\'s namespace and in one of its own', async () => {
    expect((await sh(guest, 'cat /sys/class/net/lo/flags; ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up')).stdout).toBe('0x9\nup\n');
    expect((await sh(guest, 'ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up', { namespaces: { net: 'new' } })).stdout).toBe('up\n');
  });

  it('pod: two containers share PID, IPC and host name of a sandbox, each with its own root', async () => {
    const sandbox = guest.session.startSandbox({ hostname: 'pod-1' });
    await sandbox.started;
    const join = { container: sandbox.container };
    const namespaces = { pid: join, ipc: join, uts: join };
    const first = guest.session.start(container(guest, ['/bin/sh', '-c', 'touch /mine; exec sleep 1000'], { namespaces }));
    await first.started;
    const second = await sh(guest, 'hostname; ls /mine; until ps -o args | grep -qx "sleep 1000"; do :; done; ps -o args | grep -cx "sleep 1000"', { namespaces });
    expect(second.stdout).toBe('pod-1\n1\n');
    expect(second.stderr).toContain('No such file');
    await sandbox.signal(15);
    expect((await finish(first)).status.status).toBe(137);
    expect((await sandbox.wait()).status).toBe(0);
  });

  it('volume: shared by containers, removed when free', async () => {
    await guest.session.addVolume('data', { fstype: 'tmpfs', data: 'size=1m' });
    const mounts = [{ target: '/data', source: { kind: 'volume', name: 'data' } as const }];
    await sh(guest, 'echo kept >/data/f', { mounts });
    expect((await sh(guest, 'cat /data/f', { mounts })).stdout).toBe('kept\n');
    await guest.session.removeVolume('data');
    await expect(sh(guest, 'true', { mounts })).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  });
});

/** The directories that a root without an overlay must bring along. */
function withMountPoints(root: string): string {
  for (const name of ['proc', 'dev', 'sys']) mkdirSync(join(root, name), { recursive: true });
  return root;
}
