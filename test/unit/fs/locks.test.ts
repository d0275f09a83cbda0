/** Locks of guests and of programs of the host, between one another. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FS_LOCKS } from '../../../assembly/contract/fs.ts';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { FsGuest, numbers } from '../../support/devices/fs-driver.ts';
import { Watched } from '../../support/watched.ts';

const READ = 0;
const WRITE = 1;
const NONE = 2;
const WHOLE = 0x7fff_ffff_ffff_ffffn;

let dir: string;
let guest: FsGuest;
let node: bigint;
let fh: bigint;
let child: ChildProcessWithoutNullStreams | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-fs-'));
  writeFileSync(join(dir, 'file'), 'x'.repeat(100));
  guest = new FsGuest(dir, {}, FS_LOCKS).mount();
  ({ node } = guest.lookup('file'));
  fh = guest.open(node, 2);
});
afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
  guest.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Each owner is a process of its own: a hundred and its number. */
const lock = (owner: bigint, type: number, start = 0n, end = WHOLE, flags = 0, handle = fh): Buffer => numbers(handle, owner, start, end, type, 100 + Number(owner), flags, 0);
const set = (owner: bigint, type: number, start?: bigint, end?: bigint): number => guest.call(F.FUSE_SETLK, node, lock(owner, type, start, end)).error;

/** Sends SETLKW without waiting for its answer. */
function wait(owner: bigint, type: number, body = lock(owner, type)): { readonly id: number; readonly unique: bigint } {
  const bytes = Buffer.concat([guest.header(F.FUSE_SETLKW, node, body.length), body]);
  guest.core.bytes.set(bytes, 0x0800_0000 + guest.places.input);
  const id = guest.requests.add([{ gpa: guest.places.input, len: bytes.length }, { gpa: guest.places.output + 0x1000, len: 16, write: true }]);
  guest.run(1);
  return { id, unique: bytes.readBigUInt64LE(8) };
}
const answered = (): number[] => guest.late();
const error = (): number => guest.core.view.getInt32(0x0800_0000 + guest.places.output + 0x1004, true);

/** A program of the host that holds a lock until it is killed. */
async function host(code: string): Promise<void> {
  const started = spawn('python3', ['-c', `import fcntl, sys, time\nf = open(${JSON.stringify(join(dir, 'file'))}, 'r+')\n${code}\nprint('has it', flush=True)\ntime.sleep(1000)`]);
  child = started;
  await new Watched(started).until('has it');
}

describe('fcntl', () => {
  it('owners exclude each other where ranges meet, and not elsewhere', () => {
    expect(set(1n, WRITE, 0n, 9n)).toBe(0);
    expect(set(2n, WRITE, 5n, 20n)).toBe(-E.EAGAIN);
    expect(set(2n, READ, 9n, 9n)).toBe(-E.EAGAIN);
    expect(set(2n, WRITE, 10n, 20n)).toBe(0);
    expect(set(1n, NONE, 0n, 4n)).toBe(0);
    expect(set(2n, WRITE, 0n, 4n)).toBe(0);
    expect(set(1n, READ, 5n, 9n)).toBe(0);
    expect(set(3n, READ, 5n, 9n)).toBe(0);
  });

  it('GETLK tells what is in the way', () => {
    set(1n, WRITE, 10n, 19n);
    const data = guest.ok(F.FUSE_GETLK, node, lock(2n, READ, 0n, WHOLE));
    expect([data.readBigUInt64LE(0), data.readBigUInt64LE(8), data.readUInt32LE(16), data.readUInt32LE(20)]).toEqual([10n, 19n, WRITE, 101]);
    expect(guest.ok(F.FUSE_GETLK, node, lock(1n, READ, 0n, WHOLE)).readUInt32LE(16)).toBe(NONE);
  });

  it('GETLK names the process whose lock it is, of several that have parts', () => {
    set(1n, READ, 0n, 99n);
    set(1n, NONE, 10n, 19n);
    set(2n, WRITE, 10n, 19n);
    set(3n, READ, 50n, 59n);
    const holder = (start: bigint, end: bigint): number => guest.ok(F.FUSE_GETLK, node, lock(4n, WRITE, start, end)).readUInt32LE(20);
    expect([holder(12n, 12n), holder(5n, 5n), holder(20n, 20n)]).toEqual([102, 101, 101]);
    expect([101, 103]).toContain(holder(55n, 55n));
    set(1n, NONE);
    expect(holder(55n, 55n)).toBe(103);
    expect(guest.ok(F.FUSE_GETLK, node, lock(4n, WRITE, 0n, 9n)).readUInt32LE(16)).toBe(NONE);
  });

  it('GETLK of a lock of the host’s names no process: its number would be another’s here', async () => {
    await host('fcntl.lockf(f, fcntl.LOCK_EX)');
    const data = guest.ok(F.FUSE_GETLK, node, lock(1n, READ));
    expect([data.readUInt32LE(16), data.readUInt32LE(20)]).toEqual([WRITE, 0]);
  });

  it('a wait that would never end is EDEADLK: of two, of three, and of two readers that both want to write', () => {
    set(1n, WRITE, 0n, 0n);
    set(2n, WRITE, 1n, 1n);
    set(3n, WRITE, 2n, 2n);
    const first = wait(1n, WRITE, lock(1n, WRITE, 1n, 1n));
    expect(guest.call(F.FUSE_SETLKW, node, lock(2n, WRITE, 0n, 0n)).error).toBe(-E.EDEADLK);
    const second = wait(2n, WRITE, lock(2n, WRITE, 2n, 2n));
    expect(guest.call(F.FUSE_SETLKW, node, lock(3n, READ, 0n, 0n)).error).toBe(-E.EDEADLK);
    // It still has what it had, and the others get theirs when it goes.
    expect(answered()).toEqual([]);
    set(3n, NONE);
    expect(answered()).toEqual([second.id]);
    set(2n, NONE);
    expect(answered()).toEqual([first.id]);
    set(1n, NONE);
    set(1n, READ);
    set(2n, READ);
    wait(1n, WRITE);
    expect(guest.call(F.FUSE_SETLKW, node, lock(2n, WRITE)).error).toBe(-E.EDEADLK);
  });

  it('who is in the way of a waiter that waits for another file is found too; who does not wait is no deadlock', () => {
    writeFileSync(join(dir, 'other'), '');
    const { node: second } = guest.lookup('other');
    const secondFh = guest.open(second, 2);
    const there = (owner: bigint, handle = secondFh): Buffer => lock(owner, WRITE, 0n, WHOLE, 0, handle);
    set(1n, WRITE);
    guest.ok(F.FUSE_SETLK, second, there(2n));
    wait(2n, WRITE);
    expect(guest.call(F.FUSE_SETLKW, second, there(1n)).error).toBe(-E.EDEADLK);
    set(1n, NONE);
    expect(answered().length).toBe(1);
    const body = there(1n);
    guest.raw(Buffer.concat([guest.header(F.FUSE_SETLKW, second, body.length), body]), [{ gpa: guest.places.input, len: 88 }, { gpa: guest.places.output + 0x1000, len: 16, write: true }]);
    expect(guest.session.locks.waiting.length).toBe(1);
  });

  it('a close of the file lets all go that its owner has', () => {
    set(1n, WRITE);
    guest.ok(F.FUSE_FLUSH, node, numbers(fh, 0, 0, 1n));
    expect(set(2n, WRITE)).toBe(0);
  });

  it('who waits gets it in the order of asking, while other requests are served', () => {
    set(1n, WRITE);
    const [second, third] = [wait(2n, WRITE), wait(3n, WRITE)];
    expect(answered()).toEqual([]);
    expect(guest.read(node, fh, 0, 5).toString()).toBe('xxxxx');
    guest.ok(F.FUSE_FLUSH, node, numbers(fh, 0, 0, 1n));
    expect(answered()).toEqual([second.id]);
    expect(set(4n, READ)).toBe(-E.EAGAIN);
    expect(set(2n, NONE)).toBe(0);
    expect(answered()).toEqual([third.id]);
    expect(error()).toBe(0);
  });

  it('who waits can be interrupted', () => {
    set(1n, WRITE);
    const { id, unique } = wait(2n, WRITE);
    const body = numbers(unique);
    guest.raw(Buffer.concat([guest.header(F.FUSE_INTERRUPT, 0n, 8), body]), [{ gpa: guest.places.input, len: 48 }], guest.hiprio);
    expect(answered()).toEqual([id]);
    expect(error()).toBe(-E.EINTR);
  });

  it('a reset ends the wait, and what was locked is free', async () => {
    set(1n, WRITE);
    wait(2n, WRITE);
    guest.driver.write(0x70, 0);
    guest.run(0xffff);
    expect(guest.driver.status).toBe(0);
    await host('fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)');
  });

  it('a program of the host is in the way as any other, and lets go', async () => {
    await host('fcntl.lockf(f, fcntl.LOCK_EX)');
    expect(set(1n, READ)).toBe(-E.EAGAIN);
    const { id } = wait(1n, READ);
    const started = child;
    await new Promise((resolve) => {
      started?.once('exit', resolve);
      started?.kill('SIGKILL');
    });
    expect(guest.work.askMs).toBeGreaterThan(0);
    guest.work.ask(true);
    expect(answered()).toEqual([id]);
    expect(error()).toBe(0);
  });

  it('as many as the queue holds may wait at a time, and all get it', () => {
    guest.close();
    guest = new FsGuest(dir, {}, FS_LOCKS).mount();
    ({ node } = guest.lookup('file'));
    fh = guest.open(node, 2);
    set(1n, WRITE);
    for (let i = 0; i < 30; i++) wait(BigInt(10 + i), READ);
    expect(answered()).toEqual([]);
    expect(guest.call(F.FUSE_SETLK, node, lock(1n, NONE)).error).toBe(0);
    expect(guest.session.locks.waiting.length).toBe(0);
  });
});

describe('flock', () => {
  const whole = (handle: bigint, type: number): number => guest.call(F.FUSE_SETLK, node, lock(1n, type, 0n, WHOLE, F.FUSE_LK_FLOCK, handle)).error;

  it('belongs to the open file, and goes with it', () => {
    const other = guest.open(node, 2);
    expect(whole(fh, WRITE)).toBe(0);
    expect(whole(other, READ)).toBe(-E.EAGAIN);
    const { id } = wait(1n, WRITE, lock(1n, WRITE, 0n, WHOLE, F.FUSE_LK_FLOCK, other));
    expect(answered()).toEqual([]);
    guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 2, 1n));
    expect(answered()).toEqual([id]);
    expect(whole(other, NONE)).toBe(0);
  });

  it('and one of a program of the host exclude each other', async () => {
    await host('fcntl.flock(f, fcntl.LOCK_SH)');
    expect([whole(fh, WRITE), whole(fh, READ)]).toEqual([-E.EAGAIN, 0]);
  });
});
