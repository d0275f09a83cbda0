import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import { parseGdbAddress, targetOf } from '../../../vmm/gdb/address.ts';
import { GdbServer } from '../../../vmm/gdb/server.ts';

function code(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof VmmError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
}

describe('addresses of --gdb', () => {
  it.each([
    ['unix:/run/a b.sock', '/run/a b.sock'],
    ['127.0.0.1:1234', '127.0.0.1:1234'],
    ['127.1.2.3:0', '127.1.2.3:0'],
    ['localhost:1234', '127.0.0.1:1234'],
    ['[::1]:1234', '[::1]:1234'],
  ])('%s is %s to gdb', (text, target) => expect(targetOf(parseGdbAddress(text))).toBe(target));

  it.each(['unix:', ':1234', '1234', '0.0.0.0:1234', '192.168.1.1:1234', 'example.org:1234', '[::]:1234', '[2001:db8::1]:1', '127.0.0.1:70000', '127.0.0.1:', '127.0.0.1:1x', '', `unix:/${'x'.repeat(107)}`])(
    '%s is refused in one line',
    (text) => {
      const told = code(() => parseGdbAddress(text));
      expect(told).toMatch(/^USAGE: --gdb: /);
      expect(told).not.toContain('\n');
    },
  );
});

describe('listening', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'vmm-gdb-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const listen = (text: string): Promise<GdbServer> => GdbServer.listen({ address: parseGdbAddress(text), wait: false, canReset: true });

  it('port 0 takes a free port and says which', async () => {
    await using server = await listen('127.0.0.1:0');
    expect(server.target).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
  });

  it('a Unix socket is for its owner only, and gone afterwards', async () => {
    const path = join(dir, 's');
    {
      await using server = await listen(`unix:${path}`);
      expect(server.target).toBe(path);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(() => statSync(path)).toThrow();
  });

  it('an address in use: GDB_ADDRESS', async () => {
    const path = join(dir, 's');
    await using first = await listen(`unix:${path}`);
    await expect(listen(`unix:${first.target}`)).rejects.toMatchObject({ code: 'GDB_ADDRESS', message: expect.stringContaining('EADDRINUSE') });
    await using tcp = await listen('127.0.0.1:0');
    await expect(listen(tcp.target)).rejects.toMatchObject({ code: 'GDB_ADDRESS' });
  });

  it('a socket file that nobody listens at is taken over; another file is not touched', async () => {
    const path = join(dir, 's');
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(join(dir, 't'), resolve));
    const { linkSync } = await import('node:fs');
    linkSync(join(dir, 't'), path);
    await new Promise<void>((resolve) => dead.close(() => resolve()));
    await using server = await listen(`unix:${path}`);
    expect(server.target).toBe(path);
    writeFileSync(join(dir, 'file'), 'x');
    await expect(listen(`unix:${join(dir, 'file')}`)).rejects.toMatchObject({ code: 'GDB_ADDRESS' });
    expect(statSync(join(dir, 'file')).size).toBe(1);
  });

  it('a folder that is not there: GDB_ADDRESS with the reason', async () => {
    await expect(listen(`unix:${join(dir, 'no', 's')}`)).rejects.toMatchObject({ code: 'GDB_ADDRESS', message: expect.stringMatching(/there is no folder/) });
  });
});
