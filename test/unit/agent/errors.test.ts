import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { container, type Guest, reasonToSkip, run, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();

describe.skipIf(skip !== undefined)(`init: errors${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest.session.ping();
    await guest[Symbol.asyncDispose]();
  });

  it.each([
    ['no such command in PATH', ['nope'], 127, 'AGENT_COMMAND_NOT_FOUND', 'exec: "nope": executable file not found in $PATH'],
    ['no such path', ['/bin/nope'], 127, 'AGENT_COMMAND_NOT_FOUND', 'exec: "/bin/nope": stat /bin/nope: no such file or directory'],
    ['a file without x', ['/opt/not-executable'], 126, 'AGENT_COMMAND_NOT_EXECUTABLE', 'exec: "/opt/not-executable": permission denied'],
    ['a directory', ['/opt'], 126, 'AGENT_COMMAND_NOT_EXECUTABLE', 'exec: "/opt": is a directory'],
    ['not a program', ['/opt/bad-format'], 126, 'AGENT_COMMAND_NOT_EXECUTABLE', 'exec /opt/bad-format: exec format error'],
    [
      'no interpreter',
      ['/opt/no-interpreter'],
      127,
      'AGENT_COMMAND_NOT_FOUND',
      'exec /opt/no-interpreter: no such file or directory (its interpreter or loader is missing)',
    ],
  ])('%s: %j gives %d', async (_name, args, exitStatus, code, message) => {
    const process = guest.session.start(container(guest, args));
    await expect(process.started).rejects.toMatchObject({ exitStatus, code, message });
    await expect(process.wait()).rejects.toMatchObject({ exitStatus });
  });

  it.each([
    ['an unknown user', { user: 'nobody-here' }, 'AGENT_USER', 'unable to find user nobody-here: no matching entries in passwd file'],
    ['an unknown group', { user: 'alice:nogroup' }, 'AGENT_USER', 'unable to find group nogroup: no matching entries in group file'],
    ['an unknown additional group', { groups: ['nogroup'] }, 'AGENT_USER', 'unable to find group nogroup: no matching entries in group file'],
    ['a uid out of range', { user: '4294967295' }, 'AGENT_USER', 'unable to find user 4294967295: no matching entries in passwd file'],
    ['a relative cwd', { cwd: 'tmp' }, 'AGENT_CWD', "the working directory 'tmp' is not an absolute path"],
    ['a cwd that is a file', { cwd: '/etc/passwd' }, 'AGENT_CWD', "cannot make the working directory '/etc/passwd': Not a directory"],
    ['a disk that never comes', { overlay: { kind: 'block', serial: '../x' } as const }, 'AGENT_DEVICE', "there is no scratch disk with the serial '../x'"],
    ['a mount type that does not exist', { mounts: [{ target: '/m', fstype: 'nofs' }] }, 'AGENT_MOUNT', "cannot mount on '/m': No such device"],
    ['a bad sysctl', { sysctls: ['../x=1'] }, 'AGENT_INVALID', "'../x=1' is not a sysctl setting"],
    ['a bad cgroup setting', { cgroup: ['../x=1'] }, 'AGENT_INVALID', "'../x=1' is not a cgroup setting"],
    ['a bad stop signal', { stopSignal: 99 }, 'AGENT_INVALID', 'field 0x004e of 4 bytes: not a signal'],
    ['a seccomp program that the kernel refuses', { seccomp: { program: new Uint8Array(8) } }, 'AGENT_SECURITY', 'the seccomp filter is refused: Invalid argument'],
    ['a limit above the hard one', { rlimits: [{ resource: 7, soft: 10n, hard: 5n }] }, 'AGENT_RLIMIT', expect.stringMatching(/^limit nofile to 10:5: Invalid argument \(the most is \d+\)$/)],
    ['a namespace of nobody', { namespaces: { pid: { container: 999 } } }, 'AGENT_NOT_FOUND', 'there is no container 999 to join'],
    ['a root that is not there', { root: { kind: 'directory', path: '/does/not/exist' } as const }, 'AGENT_ROOT', expect.stringContaining('root file system')],
    ['a subpath that leads out', { root: { kind: 'directory', path: '/tmp', subpath: '../../no/such' } as const }, 'AGENT_ROOT', expect.stringContaining('No such file')],
    ['no command', { args: [] }, 'AGENT_INVALID', 'no command given'],
  ])('%s: 125', async (name, more, code, message) => {
    const process = guest.session.start(container(guest, ['true'], more));
    await expect(process.started, name).rejects.toMatchObject({ exitStatus: 125, code, message });
  }, 15_000);

  it('an argument with a NUL: refused before it is sent', async () => {
    await expect(run(guest, ['a\0b'])).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' });
  });

  it('a request of more than 4 MiB: refused before it is sent', async () => {
    const env = Array.from({ length: 40 }, (_, i) => `V${i}=${'x'.repeat(120_000)}`);
    await expect(run(guest, ['true'], { env })).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' });
  });

  it('2 MB of arguments: told by the kernel as too long, or passed', async () => {
    const args = ['/bin/sh', '-c', 'echo $#', 'sh', ...Array.from({ length: 1000 }, () => 'x'.repeat(1000))];
    expect((await run(guest, args)).stdout).toBe('1000\n');
    const more = ['/bin/sh', '-c', 'echo $#', 'sh', ...Array.from({ length: 3000 }, () => 'x'.repeat(1000))];
    await expect(run(guest, more)).rejects.toMatchObject({ exitStatus: 126, message: 'exec /bin/sh: Argument list too long' });
  });

  it('a container that failed leaves nothing: the same mounts, cgroups and numbers work', async () => {
    for (let i = 0; i < 20; i++) await expect(run(guest, ['nope'])).rejects.toMatchObject({ exitStatus: 127 });
    expect((await sh(guest, 'echo fine')).stdout).toBe('fine\n');
  });
});
