import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilitySet } from '../../../vmm/container/capabilities.ts';
import { parseDevice, parseSecurityOptions, securitySpec } from '../../../vmm/container/security.ts';
import { isSystemd, systemdEnvironment, systemdMounts } from '../../../vmm/container/systemd.ts';
import { DOCKER_CAPABILITIES } from '../../../vmm/seccomp/filter.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-security-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('--security-opt', () => {
  it('takes Docker’s words, the last of each kind counts', () => {
    expect(parseSecurityOptions(['seccomp=unconfined', 'no-new-privileges', 'apparmor=unconfined', 'label:disable'])).toEqual({ seccomp: 'unconfined', noNewPrivileges: true });
    expect(parseSecurityOptions(['seccomp=unconfined', 'seccomp=builtin', 'no-new-privileges:true', 'no-new-privileges=false'])).toEqual({ noNewPrivileges: false });
    expect(parseSecurityOptions(['systempaths=unconfined'])).toEqual({ systemPaths: 'unconfined' });
  });

  it.each(['seccomp', 'seccomp=', 'no-new-privileges=1', 'systempaths=x', 'selinux=x', ''])('refuses %s', (text) => {
    expect(() => parseSecurityOptions([text])).toThrow(/^--security-opt: /);
  });

  it('reads a profile, and neither waits for a pipe nor takes a directory', () => {
    const file = join(dir, 'profile.json');
    writeFileSync(file, '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}');
    const security = parseSecurityOptions([`seccomp=${file}`]);
    expect(securitySpec(security, DOCKER_CAPABILITIES).seccomp?.program.length).toBeGreaterThan(16);
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    for (const path of [join(dir, 'fifo'), dir, join(dir, 'none')]) expect(() => parseSecurityOptions([`seccomp=${path}`])).toThrow(/^--security-opt seccomp: /);
  });
});

describe('what keeps a container from the machine', () => {
  it('the default set of capabilities is the one whose filter is compiled already', () => {
    expect(capabilitySet([], [])).toBe(DOCKER_CAPABILITIES);
  });

  it('privileged: no filter, no rules, no masks, every device', () => {
    expect(securitySpec({ privileged: true }, 0n)).toEqual({ maskedPaths: [], readonlyPaths: [], devices: [], allDevices: true });
  });

  it('a device is a node and a rule beside the usual ones', () => {
    const spec = securitySpec({ devices: [parseDevice('/dev/net/tun:/dev/tun0:rw')] }, DOCKER_CAPABILITIES);
    expect(spec.devices).toEqual([{ target: '/dev/tun0', type: 'c', major: 10, minor: 200, mode: 0o660 }]);
    expect(spec.deviceRules?.at(-1)).toEqual({ type: 'c', major: 10, minor: 200, access: 'rw' });
  });

  it.each([['/dev/fuse', '/dev/fuse', 'rwm'], ['/dev/fuse:r', '/dev/fuse', 'r'], ['/dev/loop3:/x', '/x', 'rwm']])('--device %s', (text, target, access) => {
    expect(parseDevice(text)).toMatchObject({ node: { target }, access });
  });

  it.each(['/dev/sda', '/dev/fuse:x', '/dev/fuse:/x:q', '/dev/fuse:/', ''])('--device refuses %s', (text) => {
    expect(() => parseDevice(text)).toThrow(/^--device: /);
  });
});

describe('--systemd', () => {
  it('true: by the command; always; false', () => {
    expect(['/sbin/init', '/usr/sbin/init', '/lib/systemd/systemd', 'systemd'].map((command) => isSystemd('true', [command]))).toEqual([true, true, true, true]);
    expect([isSystemd('true', ['/bin/sh', '/sbin/init']), isSystemd('true', ['init']), isSystemd('always', ['/bin/sh']), isSystemd('false', ['/sbin/init'])]).toEqual([false, false, true, false]);
  });

  it('its places are tmpfs where the user has mounted nothing; container= is said once', () => {
    expect(systemdMounts(['/tmp']).map(({ target }) => target)).toEqual(['/run', '/run/lock', '/var/log/journal']);
    expect(systemdEnvironment(['A=b'])).toEqual(['A=b', 'container=oci']);
    expect(systemdEnvironment(['container=mine'])).toEqual(['container=mine']);
  });
});
