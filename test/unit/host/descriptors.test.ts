import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DescriptorInbox, LOT_MS, sendDescriptors, TOKEN_BYTES } from '../../../vmm/host/descriptors.ts';

let dir: string;
let path: string;
let inbox: DescriptorInbox;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-fds-'));
  path = join(dir, 'fds');
  inbox = new DescriptorInbox(path);
  writeFileSync(join(dir, 'file'), 'content');
});
afterEach(() => {
  inbox.close();
  rmSync(dir, { recursive: true });
});

const token = (byte: number): Uint8Array => new Uint8Array(TOKEN_BYTES).fill(byte);
const hex = (byte: number): string => Buffer.from(token(byte)).toString('hex');
/** Descriptors of this process that lead to the file. */
const open = (): number => readdirSync('/proc/self/fd').filter((fd) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === join(dir, 'file');
  } catch {
    return false;
  }
}).length;
function send(byte: number, count = 1): void {
  const fds = Array.from({ length: count }, () => openSync(join(dir, 'file'), 'r'));
  try {
    sendDescriptors(path, token(byte), fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

describe('descriptors of another process', () => {
  it('come by their token, whatever the order, once', () => {
    send(1);
    send(2, 4);
    expect(inbox.take(hex(3))).toBeUndefined();
    const two = inbox.take(hex(2)) ?? [];
    expect(two).toHaveLength(4);
    const one = inbox.take(hex(1)) ?? [];
    expect(one.map((fd) => readFileSync(fd, 'utf8'))).toEqual(['content']);
    expect(inbox.take(hex(1))).toBeUndefined();
    for (const fd of [...one, ...two]) closeSync(fd);
    expect(open()).toBe(0);
  });

  it('what nobody asks for is given up: beyond sixteen lots, of a token twice, at the end', () => {
    // The kernel holds ten or so that are not read.
    for (let n = 0; n < 40; n++) {
      send(n);
      inbox.take(hex(255));
    }
    expect(open()).toBeLessThanOrEqual(17);
    send(39);
    inbox.take(hex(255));
    expect(open()).toBeLessThanOrEqual(17);
    inbox.close();
    expect(open()).toBe(0);
    expect(existsSync(path)).toBe(false);
    inbox = new DescriptorInbox(path);
  });

  it('what nobody ever asks for is given up by time, and the socket has room again', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    try {
      inbox.close();
      inbox = new DescriptorInbox(path);
      const fill = (): void => {
        for (;;) send(7);
      };
      expect(fill).toThrow(/EAGAIN/);
      vi.advanceTimersByTime(LOT_MS);
      send(8);
      expect(open()).toBeGreaterThan(0);
      vi.advanceTimersByTime(2 * LOT_MS);
      expect(open()).toBe(0);
      expect(inbox.take(hex(8))).toBeUndefined();
      expect(fill).toThrow(/EAGAIN/);
    } finally {
      vi.useRealTimers();
    }
  });

  it('a name that is too long leaves nothing open; a socket that somebody listens on is not taken away', () => {
    const sockets = (): number => readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
      } catch {
        return false;
      }
    }).length;
    const before = sockets();
    expect(() => new DescriptorInbox(join(dir, 'x'.repeat(120)))).toThrow(/ENAMETOOLONG/);
    expect(() => new DescriptorInbox(path)).toThrow(/EADDRINUSE/);
    expect(sockets()).toBe(before);
    send(1);
    const fds = inbox.take(hex(1)) ?? [];
    expect(fds).toHaveLength(1);
    for (const fd of fds) closeSync(fd);
  });

  it('a message that is none is none: no token, too many descriptors, no descriptor', async () => {
    expect(() => send(1, 5)).not.toThrow();
    for (const fd of inbox.take(hex(1)) ?? []) closeSync(fd);
    // By others' hands: Python's socket module.
    const program = `import socket,array
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);f=open(${JSON.stringify(join(dir, 'file'))})
s.sendmsg([b'short'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[f.fileno()]))],0,${JSON.stringify(path)})
s.sendmsg([b'\\x05'*16],[],0,${JSON.stringify(path)})
s.sendmsg([b'\\x06'*16],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[f.fileno()]))],0,${JSON.stringify(path)})`;
    const python = spawn('python3', ['-c', program], { stdio: 'inherit', timeout: 60_000 });
    expect(await once(python, 'exit')).toEqual([0, null]);
    expect(inbox.take(hex(5))).toEqual([]);
    const six = inbox.take(hex(6)) ?? [];
    expect(six.map((fd) => readFileSync(fd, 'utf8'))).toEqual(['content']);
    for (const fd of six) closeSync(fd);
    expect(open()).toBe(0);
  });

  it('nobody there: ECONNREFUSED or ENOENT, and nothing stays open; a full socket does not wait', () => {
    inbox.close();
    expect(() => send(1)).toThrow(/ENOENT/);
    writeFileSync(path, '');
    expect(() => send(1)).toThrow(/ECONNREFUSED|ENOTSOCK/);
    inbox = new DescriptorInbox(path);
    let sent = 0;
    try {
      for (; sent < 10_000; sent++) send(7);
    } catch (error) {
      expect(String(error)).toMatch(/EAGAIN/);
    }
    expect(sent).toBeLessThan(10_000);
    expect(open()).toBe(0);
  });
});
