import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FS_LOCKS } from '../../../assembly/contract/fs.ts';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { REG } from '../../support/devices/driver.ts';
import { FsGuest, numbers, text } from '../../support/devices/fs-driver.ts';

let dir: string;
let guest: FsGuest;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-fs-'));
  writeFileSync(join(dir, 'file'), 'hello');
  guest = new FsGuest(dir, {}, FS_LOCKS).mount();
});
afterEach(() => {
  guest.close();
  rmSync(dir, { recursive: true, force: true });
});

test('5.11.4.2 num_request_queues is 1 or greater, and the tag is padded by zeros', () => {
  const bytes = Buffer.from(Array.from({ length: 36 }, (_, i) => guest.driver.read(REG.config + i, 1)));
  expect(bytes).toEqual(Buffer.concat([Buffer.from('tag'), Buffer.alloc(33)]));
  expect(guest.driver.read(REG.config + 36)).toBe(1);
});

test('5.11.6.2.1 the high priority queue is served whatever the request queue does', () => {
  const { node } = guest.lookup('file');
  const fh = guest.open(node, 2);
  const lock = (owner: bigint): Buffer => numbers(fh, owner, 0n, 0x7fff_ffff_ffff_ffffn, 1, 1, 0, 0);
  guest.ok(F.FUSE_SETLK, node, lock(1n));
  const bytes = Buffer.concat([guest.header(F.FUSE_SETLKW, node, 48), lock(2n)]);
  guest.raw(bytes, [{ gpa: guest.places.input, len: bytes.length }, { gpa: guest.places.output, len: 16, write: true }]);
  expect(guest.late()).toEqual([]);
  const { count } = guest.session.nodes;
  const other = guest.lookup('file');
  expect(other.node).toBe(node);
  guest.forget(node, 1);
  expect(guest.session.nodes.count).toBe(count);
  expect(guest.hiprio.usedIdx).toBe(1);
});

test('5.11.6.1 a request that is not urgent is an error on the high priority queue, which no limit holds back', () => {
  const bytes = Buffer.concat([guest.header(F.FUSE_LOOKUP, 1n, 5), text('file')]);
  const { input, output } = guest.places;
  const pieces = [{ gpa: input, len: bytes.length }, { gpa: output, len: 16, write: true }, { gpa: output + 16, len: 128, write: true }];
  const { count } = guest.session.nodes;
  expect(guest.raw(bytes, pieces, guest.hiprio)[0]?.len).toBe(16);
  expect([guest.core.view.getInt32(0x0800_0000 + output + 4, true), guest.session.nodes.count]).toEqual([-5, count]);
  expect(guest.raw(bytes, pieces)[0]?.len).toBe(144);
});

test('a request may be cut into pieces at any place, and its answer too', () => {
  const body = text('file');
  for (let cut = 1; cut < 40 + body.length; cut++) {
    const bytes = Buffer.concat([guest.header(F.FUSE_LOOKUP, 1n, body.length), body]);
    const { input, output } = guest.places;
    guest.core.bytes.fill(0, 0x0800_0000 + output, 0x0800_0000 + output + 200);
    const used = guest.raw(bytes, [{ gpa: input, len: cut }, { gpa: input + cut, len: bytes.length - cut }, { gpa: output, len: 16, write: true }, { gpa: output + 16, len: cut, write: true }, { gpa: output + 16 + cut, len: 128 - cut, write: true }]);
    expect(used[0]?.len).toBe(144);
    expect(guest.core.view.getInt32(0x0800_0000 + output + 4, true)).toBe(0);
  }
});

test('an answer that has no room is an error, and nothing is written behind', () => {
  const answer = guest.call(F.FUSE_LOOKUP, 1n, text('file'), 100);
  expect(answer).toMatchObject({ error: -5, used: 16 });
  expect(guest.call(F.FUSE_LOOKUP, 1n, text('file'), 0)).toMatchObject({ error: -5, used: 16 });
});

test('a chain without room for a header is used with nothing in it', () => {
  const bytes = Buffer.concat([guest.header(F.FUSE_LOOKUP, 1n, 5), text('file')]);
  for (const len of [1, 15]) expect(guest.raw(bytes, [{ gpa: guest.places.input, len: bytes.length }, { gpa: guest.places.output, len, write: true }])[0]?.len).toBe(0);
  expect(guest.raw(bytes, [{ gpa: guest.places.input, len: bytes.length }])[0]?.len).toBe(0);
});
