/** Two steps to a command: a container that is prepared and held, and its release. */
import { describe, expect, it } from 'vitest';
import * as P from '../../../vmm/agent/generated/protocol.ts';
import { container, type Guest, Reader, reasonToSkip, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();
const SIGKILL = 9;

describe.skipIf(skip !== undefined)(`init: held containers${skip === undefined ? '' : ` (${skip})`}`, () => {
  const held = (guest: Guest, args: string[], options = {}) => guest.session.start(container(guest, args, { hold: true, ...options }));

  it.each([false, true])('nothing of it runs before it is released; with a process 1 of its own: %s', async (init) => {
    await using guest = startGuest();
    const process = held(guest, ['/bin/sh', '-c', 'echo runs; exit 7'], { init });
    const output = new Reader(process);
    process.onStderr(() => {});
    await process.prepared;
    // Another container comes and goes meanwhile, in its PID namespace: it is there, and its command is not.
    const seen = await sh(guest, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "', { namespaces: { pid: { container: process.container } } });
    expect(seen.stdout).not.toContain('echo runs');
    expect(output.text).toBe('');
    await guest.session.release(process);
    expect(await process.started).toBeGreaterThan(0);
    expect(await process.wait()).toMatchObject({ code: 7 });
    expect(output.text).toBe('runs\n');
  });

  it('what can be told before the release is: a command that is not there', async () => {
    await using guest = startGuest();
    const process = held(guest, ['/bin/nothing']);
    await expect(process.prepared).rejects.toMatchObject({ number: P.ERR_COMMAND_NOT_FOUND });
    await expect(process.wait()).rejects.toMatchObject({ number: P.ERR_COMMAND_NOT_FOUND });
  });

  it('a command that cannot be executed is told by the release, and its end too', async () => {
    await using guest = startGuest();
    const process = held(guest, ['/bad'], { files: [{ target: '/bad', content: Buffer.from('no program\n'), mode: 0o755 }] });
    await process.prepared;
    await expect(guest.session.release(process)).rejects.toMatchObject({ number: P.ERR_COMMAND_NOT_EXECUTABLE });
    await expect(process.started).rejects.toMatchObject({ number: P.ERR_COMMAND_NOT_EXECUTABLE });
    expect(await process.wait()).toMatchObject({ code: 125 });
  });

  it('EXEC is refused while it is held; a second release, and that of what runs, too', async () => {
    await using guest = startGuest();
    const process = held(guest, ['/bin/sleep', '1000']);
    await process.prepared;
    await expect(guest.session.exec(process.container, { args: ['/bin/true'], env: [] }).started).rejects.toMatchObject({ number: P.ERR_NOT_FOUND });
    await guest.session.release(process);
    await expect(guest.session.release(process)).rejects.toMatchObject({ number: P.ERR_INVALID });
    expect(await guest.session.exec(process.container, { args: ['/bin/true'], env: [] }).wait()).toMatchObject({ code: 0 });
    await process.signal(SIGKILL);
    expect(await process.wait()).toMatchObject({ signal: SIGKILL });
    await expect(guest.session.release(process)).rejects.toMatchObject({ number: P.ERR_NOT_FOUND });
  });

  it('killed while it is held: its end is told, and a release that comes then is refused', async () => {
    await using guest = startGuest();
    const process = held(guest, ['/bin/true']);
    await process.prepared;
    await process.signal(SIGKILL);
    expect(await process.wait()).toMatchObject({ signal: SIGKILL });
    await expect(guest.session.release(process)).rejects.toMatchObject({ number: P.ERR_NOT_FOUND });
  });

  it('a shutdown does not wait for it', async () => {
    await using guest = startGuest();
    const process = held(guest, ['/bin/true']);
    await process.prepared;
    await guest.session.shutdown('poweroff', 600_000);
    expect(await process.wait()).toMatchObject({ signal: SIGKILL });
    expect(await guest.exited).toBe(0);
  });
});
