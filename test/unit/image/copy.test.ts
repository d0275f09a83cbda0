import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeOfHost, placeTree, Received, treeWith } from '../../../image/archive/copy.ts';
import { recordsFromTree, recordsOf } from '../../../image/archive/records.ts';
import type { DirNode, TreeNode } from '../../../image/tree/node.ts';
import { placeOf, type Target } from '../../../vmm/sandbox/copy-place.ts';
import { processOf } from '../../../vmm/cli/top.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-copy-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const HOW = { host: undefined, owners: false, overwrite: false };

function record(type: string, path: string, { link = '', content = '', size = content.length }: { link?: string; content?: string; size?: number } = {}): Buffer {
  const head = Buffer.alloc(56);
  head.write(type);
  head.writeUInt32LE(0o755, 4);
  head.writeBigUInt64LE(BigInt(size), 24);
  head.writeUInt32LE(Buffer.byteLength(path), 44);
  head.writeUInt32LE(Buffer.byteLength(link), 48);
  return Buffer.concat([head, Buffer.from(path + link + content)]);
}
const END = Buffer.alloc(56);

/** What is received of these records, cut into pieces of `step` bytes. */
function receive(records: readonly Buffer[], step = 7): { received: Received; node: TreeNode | undefined } {
  const received = new Received(folder);
  try {
    const reader = received.records();
    const bytes = Buffer.concat(records);
    for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
    expect(reader.ended).toBe(true);
    return { received, node: received.tree().children.get('x') };
  } catch (error) {
    received.close();
    throw error;
  }
}

describe('records', () => {
  it('a directory of the host comes back as it was, however its bytes are cut', () => {
    const from = join(folder, 'from');
    mkdirSync(join(from, 'sub'), { recursive: true });
    writeFileSync(join(from, 'sub', 'a ä\n'), 'x'.repeat(100_000), { mode: 0o640 });
    writeFileSync(join(from, 'empty'), '');
    symlinkSync('/etc/passwd', join(from, 'link'));
    const sent = [...recordsFromTree(treeWith('x', nodeOfHost(from, false)))];
    for (const step of [1, 55, 4096, 1 << 20]) {
      const { received, node } = receive(sent, step === 1 ? 997 : step);
      const into = join(folder, `into-${step}`);
      mkdirSync(into);
      placeTree(treeWith('y', node as TreeNode), into, HOW);
      received.close();
      expect(readdirSync(join(into, 'y')).sort()).toEqual(['empty', 'link', 'sub']);
      expect(readFileSync(join(into, 'y/sub/a ä\n'), 'latin1')).toBe('x'.repeat(100_000));
      expect(lstatSync(join(into, 'y/sub/a ä\n')).mode & 0o7777).toBe(0o640);
      expect(readlinkSync(join(into, 'y/link'))).toBe('/etc/passwd');
    }
  });

  it.each<[string, Buffer[]]>([
    ['a path that leads out', [record('d', 'x'), record('f', 'x/../../../escaped', { content: 'a' }), END]],
    ['an absolute one', [record('f', '/escaped', { content: 'a' }), END]],
    ['a file below a link', [record('d', 'x'), record('l', 'x/l', { link: '/' }), record('f', 'x/l/escaped', { content: 'a' }), END]],
    ['a link in place of a directory', [record('d', 'x'), record('d', 'x/d'), record('l', 'x/d', { link: '..' }), record('f', 'x/d/escaped', { content: 'a' }), END]],
  ])('%s stays in the target, or is refused', (_, records) => {
    const into = join(folder, 'deep', 'into');
    mkdirSync(into, { recursive: true });
    try {
      const { received, node } = receive(records);
      if (node !== undefined) placeTree(treeWith('y', node), into, HOW);
      received.close();
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(COPY|IMAGE)_/) });
    }
    expect(existsSync('/escaped')).toBe(false);
    expect(existsSync(join(folder, 'escaped')) || existsSync(join(folder, 'deep', 'escaped'))).toBe(false);
    expect(readdirSync(into).filter((name) => name !== 'y')).toEqual([]);
  });

  it.each<[string, Buffer]>([
    ['an unknown type', record('?', 'x')], ['no path', record('f', '')], ['a directory with a size', record('d', 'x', { size: 5 })], ['a size beyond numbers', record('f', 'x', { size: 2 ** 60 })],
    ['bytes behind the end', Buffer.concat([END, END])],
  ])('%s: refused', (_, bytes) => {
    expect(() => receive([bytes], 1 << 20)).toThrowError(expect.objectContaining({ code: 'COPY_GUEST' }));
  });

  it('half of what stat says is refused', () => {
    expect(() => recordsOf(record('l', 'x', { link: 'abc' }).subarray(0, 58))).toThrowError(/half a record/);
    expect(recordsOf(Buffer.concat([record('l', '/a', { link: 'b' }), record('f', '/a', { size: 7 })]))).toMatchObject([{ type: 'symlink', linkTarget: 'b' }, { type: 'file', size: 7 }]);
  });
});

describe('a directory of the host that has something', () => {
  it('is joined; a link in it is not followed; kinds are not exchanged', () => {
    const into = join(folder, 'into');
    mkdirSync(join(into, 'x/kept'), { recursive: true });
    writeFileSync(join(into, 'x/file'), 'old');
    mkdirSync(join(folder, 'outside'));
    symlinkSync(join(folder, 'outside'), join(into, 'x/link'));
    const { received, node } = receive([record('d', 'x'), record('f', 'x/file', { content: 'new' }), record('f', 'x/more', { content: 'm' }), END]);
    placeTree(treeWith('x', node as TreeNode), into, HOW);
    expect(readFileSync(join(into, 'x/file'), 'utf8')).toBe('new');
    expect(readdirSync(join(into, 'x')).sort()).toEqual(['file', 'kept', 'link', 'more']);
    received.close();
    for (const records of [[record('d', 'x'), record('d', 'x/link'), record('f', 'x/link/a', { content: 'a' }), END], [record('d', 'x'), record('f', 'x/kept', { content: 'a' }), END]]) {
      const other = receive(records);
      expect(() => placeTree(treeWith('x', other.node as TreeNode), into, HOW)).toThrowError(expect.objectContaining({ code: 'COPY_TARGET' }));
      other.received.close();
    }
    expect(readdirSync(join(folder, 'outside'))).toEqual([]);
    expect(readdirSync(into)).toEqual(['x']);
  });

  it('a tree’s own entries go into it', () => {
    const { received, node } = receive([record('d', 'x'), record('f', 'x/a', { content: '1' }), END]);
    placeTree(node as DirNode, folder, HOW);
    received.close();
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('1');
  });
});

describe('where a copy goes, by docker cp’s table', () => {
  const target = (kind: Target['kind'], slash = false, parent = true): Target => ({ shown: '/p/t', kind, path: '/p/t', directory: '/p', name: 't', slash, parent });
  const file = { isDirectory: false, base: 's', content: false };
  const directory = { isDirectory: true, base: 's', content: false };
  it.each([
    ['a file, nothing there: takes the name', file, target('missing'), { directory: '/p', name: 't' }],
    ['a file over a file', file, target('other'), { directory: '/p', name: 't' }],
    ['a file into a directory', file, target('directory'), { directory: '/p/t', name: 's' }],
    ['a directory, nothing there: its content', directory, target('missing', true), { directory: '/p', name: 't' }],
    ['a directory into one', directory, target('directory'), { directory: '/p/t', name: 's' }],
    ['its content into one', { ...directory, content: true }, target('directory'), { directory: '/p/t', name: undefined }],
  ])('%s', (_, source, to, place) => expect(placeOf(source, to)).toEqual(place));
  it.each([
    ['a file to a directory that is not there', file, target('missing', true)],
    ['no parent', file, target('missing', false, false)],
    ['a directory over a file', directory, target('other')],
    ['a file with a slash behind it', file, target('other', true)],
  ])('%s: refused', (_, source, to) => expect(() => placeOf(source, to)).toThrowError(expect.objectContaining({ code: 'COPY_TARGET' })));
});

describe('processes', () => {
  it('names with brackets and controls; what is no line', () => {
    const stat = '7 (a) b (c) R 1 7 7 34816 7 4194304 0 0 0 0 250 150 0 0 20 0 1 0 100';
    expect(processOf(`1000\0${stat}\0sh \u001b[2J`)).toEqual({ UID: '1000', PID: '7', PPID: '1', STAT: 'R', TTY: 'pts/0', TIME: '00:00:04', CMD: 'sh \\u{1b}[2J' });
    expect(processOf(`0\0${stat}\0`)).toMatchObject({ CMD: '[a) b (c]' });
    expect([processOf(''), processOf('x\0y\0z'), processOf(`-1\0${stat}\0`)]).toEqual([undefined, undefined, undefined]);
  });
});
