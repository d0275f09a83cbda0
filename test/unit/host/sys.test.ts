import { closeSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync, writeSync, ftruncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HostCallError } from '../../../vmm/host/errno.ts';
import { addressOf, watchReadable } from '../../../vmm/host/ffi.ts';
import * as sys from '../../../vmm/host/sys.ts';
import { openPty, rawSettings, setTerminalSettings, setWindowSize, terminalSettings, windowSize } from '../../../vmm/host/tty.ts';
import * as io from '../../../vmm/host/uapi/io_uring.ts';
import { EPOLLIN, EPOLL_CTL_ADD, LOCK_EX, LOCK_NB, LOCK_UN, MAP_SHARED, O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE, iovec } from '../../../vmm/host/uapi/linux.ts';

const dir = mkdtempSync(join(tmpdir(), 'host-'));
afterAll(() => rmSync(dir, { recursive: true }));

function temporary(name: string, content: string | Uint8Array = ''): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

describe('errors', () => {
  test('a failed call names itself, its arguments and the errno', () => {
    expect(() => sys.open('/no/such/file', O_RDONLY)).toThrowError(/^open\("\/no\/such\/file", 0\): ENOENT$/);
  });

  test('the error carries code, call and number', () => {
    try {
      sys.close(999_999);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(HostCallError);
      expect(error).toMatchObject({ code: 'HOST_CALL', call: 'close', errno: 9, errnoName: 'EBADF' });
    }
  });
});

describe('eventfd and waiting', () => {
  test('an eventfd is empty, then signalled, then drained once', () => {
    const fd = sys.eventfd();
    expect(sys.eventfdDrain(fd)).toBe(false);
    sys.eventfdSignal(fd);
    sys.eventfdSignal(fd);
    expect(sys.eventfdDrain(fd)).toBe(true);
    expect(sys.eventfdDrain(fd)).toBe(false);
    sys.close(fd);
  });

  test('epoll tells which of two descriptors is ready', () => {
    const epoll = sys.epollCreate();
    const [a, b] = [sys.eventfd(), sys.eventfd()];
    sys.epollCtl(epoll, EPOLL_CTL_ADD, a, EPOLLIN, 7);
    sys.epollCtl(epoll, EPOLL_CTL_ADD, b, EPOLLIN, 8);
    const ready: number[] = [];
    expect(sys.epollWait(epoll, 0, (data) => ready.push(data))).toBe(0);
    sys.eventfdSignal(b);
    expect(sys.epollWait(epoll, -1, (data, events) => ready.push(data, events))).toBe(1);
    expect(ready).toEqual([8, EPOLLIN]);
    for (const fd of [epoll, a, b]) sys.close(fd);
  });

  test('the event loop calls back when an eventfd is signalled', async () => {
    const fd = sys.eventfd();
    const called = new Promise<void>((resolve) => {
      const watch = watchReadable(fd, () => {
        expect(sys.eventfdDrain(fd)).toBe(true);
        watch.close();
        resolve();
      });
    });
    sys.eventfdSignal(fd);
    await called;
    sys.close(fd);
  });
});

describe('memory', () => {
  test('two mappings of a memfd are the same bytes', () => {
    const fd = sys.memfdCreate('test', 8192);
    const address = sys.mmap(0n, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const text = new Uint8Array([1, 2, 3]);
    expect(sys.pwriteTry(fd, addressOf(text), 3, 4096)).toBe(3);
    const back = new Uint8Array(3);
    expect(sys.pwriteTry(fd, address + 4096n, 3, 0)).toBe(3);
    expect(sys.preadTry(fd, addressOf(back), 3, 0)).toBe(3);
    expect([...back]).toEqual([1, 2, 3]);
    sys.munmap(address, 8192);
    sys.close(fd);
  });

  test('an impossible mapping fails with its errno', () => {
    expect(() => sys.mmap(0n, 4096, PROT_READ, MAP_SHARED, 999_999, 0)).toThrowError(/mmap\(.*\): EBADF$/);
  });
});

describe('files', () => {
  test('data ranges leave holes out and keep their order', () => {
    const path = temporary('sparse');
    const fd = openSync(path, 'r+');
    ftruncateSync(fd, 1 << 20);
    writeSync(fd, 'x'.repeat(4096), 0);
    writeSync(fd, 'y'.repeat(4096), 512 * 1024);
    expect(sys.dataRanges(fd, 1 << 20)).toEqual([[0, 4096], [512 * 1024, 512 * 1024 + 4096]]);
    closeSync(fd);
  });

  test('an all-hole file has no data range, an empty one neither', () => {
    const fd = openSync(temporary('hole'), 'r+');
    expect(sys.dataRanges(fd, 0)).toEqual([]);
    ftruncateSync(fd, 65536);
    expect(sys.dataRanges(fd, 65536)).toEqual([]);
    closeSync(fd);
  });

  test('vectors go out and come back in pieces', () => {
    const fd = openSync(temporary('vector'), 'r+');
    const parts = [Buffer.from('one '), Buffer.from('two')];
    const vector = new DataView(new ArrayBuffer(2 * iovec.sizeof));
    parts.forEach((part, i) => {
      vector.setBigUint64(i * iovec.sizeof + iovec.iov_base, addressOf(part), true);
      vector.setBigUint64(i * iovec.sizeof + iovec.iov_len, BigInt(part.length), true);
    });
    expect(sys.pwritevAtTry(fd, Number(addressOf(vector)), 2, 3)).toBe(7);
    expect(readFileSync(join(dir, 'vector'), 'latin1')).toBe('\0\0\0one two');
    for (const part of parts) part.fill(0);
    // tmpfs does not tell what is cached.
    const cached = sys.preadvCachedTry(fd, Number(addressOf(vector)), 2, 3);
    expect([7, -95]).toContain(cached);
    expect(Buffer.concat(parts).toString()).toBe(cached === 7 ? 'one two' : '\0'.repeat(7));
    expect(sys.preadvCachedTry(-1, Number(addressOf(vector)), 2, 3)).toBe(-9);
    closeSync(fd);
    expect(sys.pwritevAtTry(fd, Number(addressOf(vector)), 2, 0)).toBe(-9);
  });

  test('extended attributes are read from the link itself, byte for byte', () => {
    const path = temporary('xattr');
    sys.setXattr(path, 'user.vmm', new Uint8Array([0, 255, 10]));
    sys.setXattr(path, 'user.empty', new Uint8Array(0));
    expect([...sys.readXattrs(path)].sort()).toEqual([['user.empty', new Uint8Array(0)], ['user.vmm', new Uint8Array([0, 255, 10])]]);
    symlinkSync(path, join(dir, 'link'));
    expect(sys.readXattrs(join(dir, 'link')).size).toBe(0);
  });

  test('extended attributes of a file whose name is not UTF-8', () => {
    const path = temporary('named');
    sys.setXattr(path, 'user.vmm', new Uint8Array([1]));
    const bytes = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe, 0x41])]);
    renameSync(path, bytes);
    expect([...sys.readXattrs(bytes)]).toEqual([['user.vmm', new Uint8Array([1])]]);
    expect(() => sys.readXattrs(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(/NUL/);
  });

  test('a lock is refused to a second opener until it is let go', () => {
    const path = temporary('lock');
    const [a, b] = [sys.open(path, O_RDWR), sys.open(path, O_RDWR)];
    expect(sys.flock(a, LOCK_EX | LOCK_NB)).toBe(true);
    expect(sys.flock(b, LOCK_EX | LOCK_NB)).toBe(false);
    expect(sys.flock(a, LOCK_UN)).toBe(true);
    expect(sys.flock(b, LOCK_EX | LOCK_NB)).toBe(true);
    sys.close(a);
    sys.close(b);
  });

  test('io_uring takes a no-op and completes it', () => {
    const params = new DataView(new ArrayBuffer(io.io_uring_params.sizeof));
    const ring = sys.ioUringSetup(io.SYS_io_uring_setup, 4, params);
    expect(params.getUint32(io.io_uring_params.sq_entries, true)).toBe(4);
    expect(sys.ioUringEnter(io.SYS_io_uring_enter, ring, 0, 0, 0)).toBe(0);
    expect(sys.ioUringEnter(io.SYS_io_uring_enter, 999_999, 1, 0, 0)).toBe(-9);
    sys.close(ring);
  });
});

describe('terminals', () => {
  test('a pseudo terminal has settings, goes raw and back, and keeps its size', () => {
    const { master, slave } = openPty();
    const settings = terminalSettings(slave);
    setTerminalSettings(slave, rawSettings(settings));
    expect(Buffer.from(terminalSettings(slave)).equals(Buffer.from(settings))).toBe(false);
    setTerminalSettings(slave, settings);
    expect(Buffer.from(terminalSettings(slave))).toEqual(Buffer.from(settings));
    setWindowSize(master, { rows: 24, columns: 99 });
    expect(windowSize(slave)).toEqual({ rows: 24, columns: 99 });
    sys.close(master);
    sys.close(slave);
  });

  test('a regular file has no terminal settings', () => {
    const fd = sys.open(temporary('notty'), O_RDWR);
    expect(() => terminalSettings(fd)).toThrowError(/TCGETS\(\d+\): ENOTTY/);
    sys.close(fd);
  });
});
