import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Guest, reasonToSkip, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();
const DOCKER = [
  { type: 'a', access: 'm' }, { type: 'c', major: 1, minor: 3, access: 'rwm' }, { type: 'c', major: 1, minor: 5, access: 'rwm' },
  { type: 'c', major: 136, access: 'rwm' }, { type: 'c', major: 5, minor: 0, access: 'rwm' }, { type: 'c', major: 1, minor: 9, access: 'r' },
] as const;

describe.skipIf(skip !== undefined)(`init: devices${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  it('rules: nodes can be made, but only those that a rule names can be opened, for what it allows', async () => {
    const script = `
      for node in null:c:1:3 zero:c:1:5 mem:c:1:1 kmsg:c:1:11 tun:c:10:200 disk:b:254:0; do
        IFS=: read name type major minor <<.
$node
.
        mknod /tmp/$name $type $major $minor && (true </tmp/$name) 2>/dev/null && echo $name
      done
      (true </dev/urandom) && echo random; (true >/dev/urandom) 2>/dev/null || echo no writing`;
    const result = await sh(guest, script, { deviceRules: DOCKER, overlay: { kind: 'tmpfs' } });
    expect(result.stdout).toBe('null\nzero\nrandom\nno writing\n');
  });

  it('no rules: nothing is refused', async () => {
    expect((await sh(guest, 'mknod /tmp/tun c 10 200; (true </tmp/tun) && echo opened')).stdout).toBe('opened\n');
  });

  it('rules without making nodes', async () => {
    const result = await sh(guest, 'mknod /tmp/x c 1 7 || echo refused', { deviceRules: [{ type: 'c', major: 1, minor: 7, access: 'rw' }, { type: 'c', major: 1, access: 'm' }, ...DOCKER.slice(1)] });
    expect(result.stdout).toBe('');
    expect((await sh(guest, 'mknod /tmp/x b 7 0 || echo refused', { deviceRules: [{ type: 'c', access: 'rwm' }] })).stdout).toBe('refused\n');
  });

  it('all devices: each that the machine has is in /dev, with its mode', async () => {
    const result = await sh(guest, 'stat -c "%n %t:%T" /dev/kmsg /dev/full; ls /dev | wc -l', { allDevices: true });
    expect(result.stdout).toMatch(/^\/dev\/kmsg 1:b\n\/dev\/full 1:7\n/);
    expect(Number(result.stdout.split('\n')[2])).toBeGreaterThan(15);
  });
});
