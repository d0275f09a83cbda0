import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { container, type Guest, Reader, reasonToSkip, startGuest } from './harness.ts';

const skip = reasonToSkip();

describe.skipIf(skip !== undefined)(`init: terminals${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  const terminal = { tty: true, size: { rows: 33, columns: 101 } };

  it('a terminal: isatty, name, size, controlling; output with CR LF', async () => {
    const script = 'test -t 0 && test -t 1 && test -t 2 && echo tty; tty; stty size; echo x >/dev/tty; ls -l /dev/console | cut -c1';
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', script], terminal));
    const reader = new Reader(process);
    expect((await process.wait()).status).toBe(0);
    expect(reader.text).toBe('tty\r\n/dev/pts/0\r\n33 101\r\nx\r\nc\r\n');
  });

  it('input is echoed, ^D ends it', async () => {
    const process = guest.session.start(container(guest, ['cat'], terminal));
    const reader = new Reader(process);
    await process.stdin.write(Buffer.from('hello\n'));
    await reader.until('hello\r\nhello\r\n');
    await process.stdin.write(Buffer.from('\u0004'));
    expect((await process.wait()).status).toBe(0);
  });

  it('Ctrl-C: SIGINT for the foreground group', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'trap "echo interrupted; exit 9" INT; echo ready; while :; do sleep 0.05; done'], terminal));
    const reader = new Reader(process);
    await reader.until('ready');
    await process.stdin.write(Buffer.from('\u0003'));
    expect((await process.wait()).status).toBe(9);
    expect(reader.text).toContain('^C');
    expect(reader.text).toContain('interrupted');
  });

  it('resize: SIGWINCH and the new size', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done'], terminal));
    const reader = new Reader(process);
    await reader.until('ready');
    await process.resize({ rows: 50, columns: 132 });
    expect((await process.wait()).status).toBe(0);
    expect(reader.text).toBe('ready\r\n50 132\r\n');
  });

  it('10 MB through the terminal: all of it', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'stty raw; dd if=/dev/zero bs=64k count=160 2>/dev/null'], terminal));
    let bytes = 0;
    process.onStdout((chunk) => {
      bytes += chunk.length;
    });
    expect((await process.wait()).status).toBe(0);
    expect(bytes).toBe(160 * 65536);
  });

  it('a user can open the terminal by name', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'echo a >$(tty); stat -c "%u:%g %a" $(tty)'], { ...terminal, user: 'alice' }));
    const reader = new Reader(process);
    expect((await process.wait()).status).toBe(0);
    expect(reader.text).toBe('a\r\n1000:5 620\r\n');
  });

  it('with --init the command owns the terminal', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-c', 'trap "exit 4" INT; echo ready; while :; do sleep 0.05; done'], { ...terminal, init: true }));
    const reader = new Reader(process);
    await reader.until('ready');
    await process.stdin.write(Buffer.from('\u0003'));
    expect((await process.wait()).status).toBe(4);
  });

  it('job control: Ctrl-Z stops, fg goes on', async () => {
    const process = guest.session.start(container(guest, ['/bin/sh', '-i'], terminal));
    const reader = new Reader(process);
    await process.stdin.write(Buffer.from('sh -c "echo on; sleep 1000"\n'));
    await reader.until('on\r\n');
    await process.stdin.write(Buffer.from('\u001a'));
    await reader.until('Stopped');
    await process.stdin.write(Buffer.from('exit; exit\n'));
    expect((await process.wait()).status).not.toBe(undefined);
  });
});
