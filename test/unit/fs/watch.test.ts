/** What programs of the host change in a share that is watched: what is told of it, and what the guest's process that raises it gets. */
import { appendFileSync, chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as E from '../../../assembly/contract/generated/errno.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { MAX_CHANGES } from '../../../vmm/agent/generated/protocol.ts';
import type { Change } from '../../../vmm/agent/changes.ts';
import { CHANGES_MAX, ChangeBox } from '../../../vmm/devices/fs/changes.ts';
import { nextChanges } from '../../../vmm/devices/fs/raising.ts';
import { FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';

const RAISER = 77;
let dir: string;
let guest: FsGuest;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-watch-'));
  mkdirSync(join(dir, 'sub'));
  writeFileSync(join(dir, 'file'), 'one');
  guest = new FsGuest(undefined);
  guest.share(dir, { name: 'x', watch: true });
  guest.mount();
});
afterEach(() => {
  guest.close();
  guest.session.watches?.close();
  rmSync(dir, { recursive: true });
});

/** All that has happened, lot by lot; a guest has raised each before the next. */
function told(): Change[] {
  const { session } = guest;
  session.watches?.take();
  const all: Change[] = [];
  while ((session.watches?.pending.size ?? 0) > 0) {
    session.raised.done();
    all.push(...nextChanges(session, session.watches?.pending ?? new Map()));
  }
  return all;
}
const words = (changes: readonly Change[]): string[] => changes.map(({ kinds, path }) => `${path}: ${kinds.join(' ')}`).sort();

/** A request of the process that raises. */
function raising(opcode: number, node: bigint, body: Buffer) {
  guest.session.raised.raiser = RAISER;
  guest.pid = RAISER;
  const answer = guest.call(opcode, node, body);
  guest.pid = 1;
  return answer;
}
const entryOf = (data: Buffer) => ({ node: data.readBigUInt64LE(0), mode: data.readUInt32LE(40 + 60), valid: data.readBigUInt64LE(16) });

describe('what is told', () => {
  it('names made, written, changed and removed, in directories that the guest knows', () => {
    const [root, sub] = [guest.walk('x'), guest.walk('x/sub')];
    expect([root, sub].every((node) => node > 1n)).toBe(true);
    mkdirSync(join(dir, 'unknown'));
    writeFileSync(join(dir, 'new'), 'text');
    appendFileSync(join(dir, 'file'), 'more');
    chmodSync(join(dir, 'file'), 0o600);
    writeFileSync(join(dir, 'sub', 'inner'), '');
    symlinkSync('nowhere', join(dir, 'link'));
    // Nobody of the guest has looked there.
    writeFileSync(join(dir, 'unknown', 'quiet'), '');
    const changes = told();
    expect(words(changes)).toEqual(['x/file: modify attrib close', 'x/link: create', 'x/new: create modify close', 'x/sub/inner: create close', 'x/unknown: create']);
    expect(Object.fromEntries(changes.map(({ path, type }) => [path, type]))).toMatchObject({ 'x/file': 8, 'x/link': 10, 'x/unknown': 4 });
    expect(told()).toEqual([]);
    unlinkSync(join(dir, 'new'));
    rmdirSync(mkdtempSync(join(dir, 'sub', 'gone-')));
    expect(words(told())).toEqual(['x/new: delete']); // what came and went at once was seen by nobody
  });

  it('what takes another’s place is an end and a beginning, so that who watches the file itself hears of it', () => {
    guest.walk('x/file');
    writeFileSync(join(dir, '.file.new'), 'two');
    told();
    renameSync(join(dir, '.file.new'), join(dir, 'file'));
    expect(words(told())).toEqual(['x/.file.new: delete', 'x/file: delete create']);
  });

  it('what the guest does itself its own kernel has told', () => {
    const root = guest.walk('x');
    const sub = guest.walk('x/sub');
    const { node, fh } = guest.create('made', 0o102, 0o644, root);
    guest.write(node, fh, 0, Buffer.from('text'));
    guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
    guest.ok(F.FUSE_MKDIR, root, Buffer.concat([numbers(0o755, 0), text('dir')]));
    guest.ok(F.FUSE_SYMLINK, root, Buffer.concat([text('soft'), text('x')]));
    guest.ok(F.FUSE_RENAME2, root, Buffer.concat([numbers(sub, 0, 0), text('made'), text('moved')]));
    guest.ok(F.FUSE_LINK, root, Buffer.concat([numbers(node), text('hard')]));
    guest.ok(F.FUSE_SETATTR, node, Buffer.concat([numbers(1, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o600, 0, 0, 0), Buffer.alloc(8)]));
    guest.ok(F.FUSE_UNLINK, root, text('hard'));
    guest.ok(F.FUSE_RMDIR, root, text('dir'));
    expect(readdirSync(join(dir, 'sub'))).toEqual(['moved']);
    expect(told()).toEqual([]);
    // And in the same breath somebody of the host.
    writeFileSync(join(dir, 'theirs'), '');
    guest.ok(F.FUSE_MKDIR, root, Buffer.concat([numbers(0o755, 0), text('ours')]));
    expect(words(told())).toEqual(['x/theirs: create close']);
  });

  it('a storm collapses: by name, and where there are too many names, by directory', () => {
    guest.walk('x/sub');
    for (let i = 0; i < 500; i++) appendFileSync(join(dir, 'file'), 'x');
    expect(words(told())).toEqual(['x/file: modify close']);
    for (let i = 0; i < 6000; i++) writeFileSync(join(dir, 'sub', `n${i}`), '');
    const { session } = guest;
    session.watches?.take();
    expect(session.watches?.pending.size).toBeLessThanOrEqual(4096);
    const first = nextChanges(session, session.watches?.pending ?? new Map());
    expect(first.length).toBeLessThanOrEqual(CHANGES_MAX);
    expect(words(told().concat(first))).toContain('x/sub: attrib');
    writeFileSync(join(dir, 'sub', 'after'), '');
    expect(words(told())).toEqual(['x/sub/after: create close']);
  });

  it('names that are no text, a lot of the longest ones: each fits, and comes as it is', async () => {
    guest.walk('x');
    const box = new ChangeBox();
    const names = Array.from({ length: 100 }, (_, i) => Buffer.from([...Array<number>(250).fill(i % 2 === 0 ? 1 : 0xff), 0x41 + (i % 26), 0x61 + Math.floor(i / 26)]));
    for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), '');
    const { session } = guest;
    session.watches?.take();
    const seen: string[] = [];
    while ((session.watches?.pending.size ?? 0) > 0) {
      session.raised.done();
      box.fill(nextChanges(session, session.watches?.pending ?? new Map()));
      seen.push(...((await box.next()) ?? []).map(({ path }) => path));
    }
    expect(seen.sort()).toEqual(names.map((name) => `x/${name.toString('latin1')}`).sort());
    box.end();
    expect(await box.next()).toBe(undefined);
  });

  it('of a file that is a share; of one that is not watched nothing; of one that is withdrawn nothing', () => {
    const other = mkdtempSync(join(tmpdir(), 'vmm-watch-other-'));
    guest.share(join(dir, 'file'), { name: 'single', watch: true });
    guest.share(other, { name: 'quiet' });
    guest.walk('single');
    guest.walk('quiet');
    guest.walk('x/sub');
    writeFileSync(join(other, 'a'), '');
    appendFileSync(join(dir, 'file'), 'x');
    expect(words(told())).toEqual(['single: modify close', 'x/file: modify close']);
    const { session } = guest;
    writeFileSync(join(dir, 'sub', 'late'), '');
    session.watches?.take();
    session.withdraw(session.shares[0]!);
    session.shares[0] = undefined;
    expect(told()).toEqual([]);
    writeFileSync(join(dir, 'sub', 'later'), '');
    expect(told()).toEqual([]);
    rmSync(other, { recursive: true });
  });

  it('a share that takes the place of one that is withdrawn hears of its own changes, and of none of the other’s', () => {
    const other = mkdtempSync(join(tmpdir(), 'vmm-watch-other-'));
    const { session } = guest;
    // One is withdrawn that the guest has looked into, and one that it has not.
    guest.walk('x/sub');
    session.withdraw(session.shares[0]!);
    guest.share(other, { name: 'y', watch: true });
    guest.walk('y');
    writeFileSync(join(dir, 'theirs'), '');
    writeFileSync(join(dir, 'sub', 'theirs'), '');
    writeFileSync(join(other, 'ours'), '');
    expect(words(told())).toEqual(['y/ours: create close']);
    rmSync(other, { recursive: true });
  });

  it('of thousands of directories each is told of once, and what comes meanwhile costs no look at all of them', () => {
    const directories = 4200;
    const other = mkdtempSync(join(tmpdir(), 'vmm-watch-other-'));
    for (let i = 0; i < directories; i++) mkdirSync(join(other, `d${i}`));
    guest.share(other, { name: 'y', watch: true });
    const { session } = guest;
    const root = guest.walk('y');
    for (let i = 0; i < directories; i++) guest.lookup(`d${i}`, root);
    let looks = 0;
    const generation = session.nodes.generation.bind(session.nodes);
    session.nodes.generation = (node) => {
      looks++;
      return generation(node);
    };
    for (let i = 0; i < directories; i++) writeFileSync(join(other, `d${i}`, 'file'), '');
    session.watches?.take();
    expect(looks).toBeLessThan(5 * directories);
    const changes = words(told());
    expect(changes.length).toBe(new Set(changes).size);
    expect(changes.filter((change) => /^y\/d\d+: attrib$/.test(change)).length).toBe(directories);
    rmSync(other, { recursive: true });
  });

  it('a lot is no larger than the guest’s init takes', () => expect(CHANGES_MAX).toBe(MAX_CHANGES));

  it('a lot stays in flight until it is done, whatever is withdrawn meanwhile; other shares’ part of it is answered', () => {
    const other = mkdtempSync(join(tmpdir(), 'vmm-watch-other-'));
    guest.share(other, { name: 'y', watch: true });
    const [x, y] = [guest.walk('x'), guest.walk('y')];
    writeFileSync(join(dir, 'new'), '');
    writeFileSync(join(other, 'new'), '');
    expect(words(told())).toEqual(['x/new: create close', 'y/new: create close']);
    const { session } = guest;
    session.withdraw(session.shares[0]!);
    expect(session.raised.idle).toBe(false);
    expect([...(session.raised.lot ?? new Map()).keys()]).toEqual([`${y & 0xffff_ffffn} new`]);
    expect(raising(F.FUSE_MKNOD, y, Buffer.concat([numbers(0o100600, 0, 0, 0), text('new')])).error).toBe(0);
    expect(raising(F.FUSE_MKNOD, x, Buffer.concat([numbers(0o100600, 0, 0, 0), text('new')])).error).toBe(-E.ESTALE);
    session.raised.done();
    expect(session.raised.idle).toBe(true);
    rmSync(other, { recursive: true });
  });

  it('directories that the guest has forgotten are not watched any more', () => {
    const root = guest.walk('x');
    const sub = guest.walk('x/sub');
    guest.call(F.FUSE_FORGET, sub, numbers(2n), 0);
    writeFileSync(join(dir, 'sub', 'quiet'), '');
    expect(told()).toEqual([]);
    guest.lookup('sub', root);
    writeFileSync(join(dir, 'sub', 'loud'), '');
    expect(words(told())).toEqual(['x/sub/loud: create close']);
  });
});

describe('the process that raises', () => {
  it('makes a name that is there, once; and nothing of it is done on the host', () => {
    const root = guest.walk('x');
    writeFileSync(join(dir, 'new'), 'text', { mode: 0o604 });
    told();
    const before = lstatSync(join(dir, 'new'), { bigint: true });
    expect(raising(F.FUSE_LOOKUP, root, text('new')).error).toBe(-E.ENOENT);
    // Others see what is there.
    expect(guest.lookup('new', root).attr.mode & 0o777).toBe(0o604);
    const made = raising(F.FUSE_MKNOD, root, Buffer.concat([numbers(0o100600, 0, 0, 0), text('new')]));
    expect(entryOf(made.data)).toMatchObject({ node: guest.walk('x/new'), mode: 0o100604 });
    expect(raising(F.FUSE_LOOKUP, root, text('new')).error).toBe(0);
    expect(lstatSync(join(dir, 'new'), { bigint: true })).toEqual(before);
  });

  it('removes a name that is gone: the inode that it was, or one that the guest never saw', () => {
    const root = guest.walk('x');
    const file = guest.walk('x/file');
    writeFileSync(join(dir, 'unseen'), '');
    told();
    unlinkSync(join(dir, 'file'));
    unlinkSync(join(dir, 'unseen'));
    rmdirSync(join(dir, 'sub'));
    told();
    expect(guest.call(F.FUSE_LOOKUP, root, text('file')).error).toBe(-E.ENOENT);
    expect(entryOf(raising(F.FUSE_LOOKUP, root, text('file')).data)).toMatchObject({ node: file, valid: 0n });
    expect(entryOf(raising(F.FUSE_LOOKUP, root, text('sub')).data).mode >> 12).toBe(4);
    const unseen = entryOf(raising(F.FUSE_LOOKUP, root, text('unseen')).data);
    expect(unseen).toMatchObject({ mode: 0o100600, valid: 0n });
    expect(raising(F.FUSE_UNLINK, root, text('file')).error).toBe(0);
    expect(raising(F.FUSE_UNLINK, root, text('unseen')).error).toBe(0);
    expect(raising(F.FUSE_LOOKUP, root, text('file')).error).toBe(-E.ENOENT);
    // What is nothing can be asked for nothing, and goes when the guest has forgotten it.
    const count = guest.session.nodes.count;
    expect(guest.call(F.FUSE_GETATTR, unseen.node, numbers(0, 0, 0n)).error).toBeLessThan(0);
    expect(guest.call(F.FUSE_OPEN, unseen.node, numbers(0, 0)).error).toBeLessThan(0);
    guest.call(F.FUSE_FORGET, unseen.node, numbers(1n), 0);
    expect(guest.session.nodes.count).toBe(count - 1);
  });

  it('gets no entry where there is no room for the name, and none is left behind', () => {
    const long = 'n'.repeat(250);
    guest.close();
    guest.session.watches?.close();
    guest = new FsGuest(undefined, {}, 0, 65536);
    guest.share(dir, { name: 'x', watch: true });
    guest.mount();
    const root = guest.walk('x');
    writeFileSync(join(dir, long), '');
    const nodes = Array.from({ length: 1000 }, (_, i) => {
      writeFileSync(join(dir, `f${i}`), '');
      return guest.call(F.FUSE_LOOKUP, root, text(`f${i}`));
    }).filter(({ error }) => error === 0).map(({ data }) => data.readBigUInt64LE(0));
    expect(nodes.length).toBeLessThan(1000);
    told();
    // Room for an inode, not for so long a name.
    guest.call(F.FUSE_FORGET, nodes[0]!, numbers(1n), 0);
    unlinkSync(join(dir, long));
    expect(words(told())).toEqual([`x/${long}: delete`]);
    const { count } = guest.session.nodes;
    for (let i = 0; i < 3; i++) expect(raising(F.FUSE_LOOKUP, root, text(long)).error).toBe(-E.ENOENT);
    expect(guest.session.nodes.count).toBe(count);
    expect(guest.session.raised.ghosts).toBe(3);
  });

  it('changes nothing, whatever it sends, in a share that it may write', () => {
    const root = guest.walk('x');
    const file = guest.walk('x/file');
    utimesSync(join(dir, 'file'), 1000, 1000);
    // Our own read is a time of access.
    const look = (): unknown => [{ ...lstatSync(join(dir, 'file'), { bigint: true }), atimeNs: 0n, atimeMs: 0n }, readFileSync(join(dir, 'file'), 'utf8'), readdirSync(dir).sort()];
    told();
    const before = look();
    const size0 = Buffer.concat([numbers(F.FATTR_SIZE | F.FATTR_MODE | F.FATTR_MTIME, 0, 0n, 0n, 0n, 0n, 0n, 0n, 0, 0, 0, 0o777, 0, 0, 0), Buffer.alloc(8)]);
    expect(raising(F.FUSE_SETATTR, file, size0)).toMatchObject({ error: 0 });
    for (const [opcode, node, body] of [
      [F.FUSE_UNLINK, root, text('file')],
      [F.FUSE_RMDIR, root, text('sub')],
      [F.FUSE_MKDIR, root, Buffer.concat([numbers(0o755, 0), text('dir')])],
      [F.FUSE_CREATE, root, Buffer.concat([numbers(0o1102, 0o644, 0, 0), text('file')])],
      [F.FUSE_RENAME2, root, Buffer.concat([numbers(root, 0, 0), text('file'), text('moved')])],
      [F.FUSE_LINK, root, Buffer.concat([numbers(file), text('hard')])],
      [F.FUSE_SETXATTR, file, Buffer.concat([numbers(1, 0, 0, 0), text('user.a'), Buffer.from('b')])],
      [F.FUSE_TMPFILE, root, Buffer.concat([numbers(0o2, 0o644, 0, 0), text('t')])],
    ] as const) expect(raising(opcode, node, body).error).toBe(-E.EPERM);
    const opened = raising(F.FUSE_OPEN, file, numbers(0o1002, 1)); // O_RDWR | O_TRUNC
    expect(opened.error).toBe(0);
    expect(guest.call(F.FUSE_WRITE, file, Buffer.concat([numbers(opened.data.readBigUInt64LE(0), 0n, 1, 0, 0n, 0, 0), Buffer.from('x')])).error).toBe(-E.EBADF);
    expect(look()).toEqual(before);
    // The same of another process is done.
    expect(guest.call(F.FUSE_UNLINK, root, text('file')).error).toBe(0);
    expect(existsSync(join(dir, 'file'))).toBe(false);
  });

  it('is nobody where a share is not watched', () => {
    const other = mkdtempSync(join(tmpdir(), 'vmm-watch-other-'));
    guest.share(other, { name: 'quiet' });
    expect(raising(F.FUSE_MKDIR, guest.walk('quiet'), Buffer.concat([numbers(0o755, 0), text('dir')])).error).toBe(0);
    expect(statSync(join(other, 'dir')).isDirectory()).toBe(true);
    rmSync(other, { recursive: true });
  });
});
