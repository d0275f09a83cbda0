/**
 * Seeded work on a share, as fsx and fsstress do it, written anew: each operation of the guest's is done to a model too, and what the guest
 * and the host see is held against the model.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as F from '../../../assembly/contract/generated/fuse.ts';
import { FsGuest, numbers, text } from './fs-driver.ts';
import { random } from './fs-random.ts';

const FILE_MAX = 256 << 10;

/** One file: writes, reads, truncations, holes, copies within it, opens anew. */
export function fsx(seed: number, count: number): void {
  const next = random(seed);
  const upTo = (n: number): number => Math.floor(next() * n);
  const dir = mkdtempSync(join(tmpdir(), 'vmm-fsx-'));
  const guest = new FsGuest(dir).mount();
  try {
    let model = Buffer.alloc(0);
    let { node, fh } = guest.create('file');
    const resize = (size: number): void => {
      model = size <= model.length ? model.subarray(0, size) : Buffer.concat([model, Buffer.alloc(size - model.length)]);
    };
    for (let i = 0; i < count; i++) {
      const offset = upTo(FILE_MAX);
      const length = 1 + upTo(next() < 0.9 ? 8192 : 65536);
      switch (upTo(7)) {
        case 0: case 1: {
          const data = Buffer.alloc(length, i & 0xff);
          if (guest.write(node, fh, offset, data) !== length) throw new Error(`seed ${seed}, operation ${i}: a short write`);
          if (model.length < offset + length) resize(offset + length);
          else model = Buffer.from(model);
          data.copy(model, offset);
          break;
        }
        case 2: case 3: {
          const got = guest.read(node, fh, offset, length);
          if (!got.equals(model.subarray(offset, offset + length))) throw new Error(`seed ${seed}, operation ${i}: other bytes at ${offset}`);
          break;
        }
        case 4:
          guest.ok(F.FUSE_SETATTR, node, numbers(F.FATTR_SIZE, 0, 0n, BigInt(offset), 0n, 0n, 0n, 0n, 0, 0, 0, 0, 0, 0, 0, 0));
          resize(offset);
          break;
        case 5: {
          // A hole: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE.
          guest.ok(F.FUSE_FALLOCATE, node, numbers(fh, BigInt(offset), BigInt(length), 3, 0));
          model = Buffer.from(model);
          model.fill(0, Math.min(offset, model.length), Math.min(offset + length, model.length));
          break;
        }
        default:
          guest.ok(F.FUSE_RELEASE, node, numbers(fh, 0, 0, 0n));
          if (next() < 0.3) guest.session.paths.closeAll();
          ({ node } = guest.lookup('file'));
          guest.forget(node, 1);
          fh = guest.open(node, 2);
      }
      if (i % 1000 === 0 && !readFileSync(join(dir, 'file')).equals(model)) throw new Error(`seed ${seed}, operation ${i}: the host sees other bytes`);
    }
    if (!readFileSync(join(dir, 'file')).equals(model)) throw new Error(`seed ${seed}: the host sees other bytes at the end`);
  } finally {
    guest.close();
    rmSync(dir, { recursive: true });
  }
}

type Tree = Map<string, Tree | number>;

/** What lies beneath a directory of the host, as the model has it: directories, and files by their sizes. */
function hostTree(dir: string): Tree {
  return new Map(readdirSync(dir, { withFileTypes: true }).map((entry) => [entry.name, entry.isDirectory() ? hostTree(join(dir, entry.name)) : statSync(join(dir, entry.name)).size]));
}

const sorted = (tree: Tree): unknown[] => [...tree].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => [name, typeof value === 'number' ? value : sorted(value)]);
const shown = (tree: Tree): string => JSON.stringify(sorted(tree));

/** A tree: names come, go, and move, with all that is beneath them; what fails in the model must fail in the guest. */
export function fsstress(seed: number, count: number): void {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const dir = mkdtempSync(join(tmpdir(), 'vmm-fsstress-'));
  const guest = new FsGuest(dir).mount();
  const model: Tree = new Map();
  const NAMES = ['a', 'b', 'c', 'd', 'e'];
  /** A directory somewhere, its model and its inode. */
  const somewhere = (): { tree: Tree; node: bigint; above: Tree[] } => {
    let [tree, node] = [model, 1n];
    const above = [model];
    while (next() < 0.6) {
      const name = pick(NAMES);
      const below = tree.get(name);
      if (!(below instanceof Map)) break;
      [tree, node] = [below, guest.lookup(name, node).node];
      above.push(tree);
    }
    return { tree, node, above };
  };
  const expect = (i: number, what: string, error: number, ok: boolean): void => {
    if ((error === 0) !== ok) throw new Error(`seed ${seed}, operation ${i}: ${what} gives ${error}`);
  };
  try {
    for (let i = 0; i < count; i++) {
      const { tree, node, above } = somewhere();
      const name = pick(NAMES);
      const there = tree.get(name);
      switch (Math.floor(next() * 6)) {
        case 0:
          expect(i, 'mkdir', guest.call(F.FUSE_MKDIR, node, Buffer.concat([numbers(0o755, 0), text(name)])).error, there === undefined);
          if (there === undefined) tree.set(name, new Map());
          break;
        case 1: {
          const { error, data } = guest.call(F.FUSE_CREATE, node, Buffer.concat([numbers(0o301, 0o644, 0, 0), text(name)]));
          expect(i, 'create', error, there === undefined);
          if (error !== 0) break;
          const size = Math.floor(next() * 3000);
          const [file, fh] = [data.readBigUInt64LE(0), data.readBigUInt64LE(128)];
          guest.write(file, fh, 0, Buffer.alloc(size));
          guest.ok(F.FUSE_RELEASE, file, numbers(fh, 0, 0, 0n));
          tree.set(name, size);
          break;
        }
        case 2:
          expect(i, 'unlink', guest.call(F.FUSE_UNLINK, node, text(name)).error, typeof there === 'number');
          if (typeof there === 'number') tree.delete(name);
          break;
        case 3: {
          const ok = there instanceof Map && there.size === 0;
          expect(i, 'rmdir', guest.call(F.FUSE_RMDIR, node, text(name)).error, ok);
          if (ok) tree.delete(name);
          break;
        }
        case 4: {
          const to = somewhere();
          const other = pick(NAMES);
          const target = to.tree.get(other);
          const same = tree === to.tree && name === other;
          const into = there instanceof Map && to.above.includes(there);
          const fits = target === undefined || (typeof target === 'number' ? typeof there === 'number' : there instanceof Map && target.size === 0 && !above.includes(target));
          const ok = there !== undefined && (same || (!into && fits));
          expect(i, 'rename', guest.call(F.FUSE_RENAME2, node, Buffer.concat([numbers(to.node, 0, 0), text(name), text(other)])).error, ok);
          if (ok && !same && there !== undefined) {
            tree.delete(name);
            to.tree.set(other, there);
          }
          break;
        }
        default: {
          const names = guest.list(node, next() < 0.5).filter((each) => each !== '.' && each !== '..').sort();
          if (names.join() !== [...tree.keys()].sort().join()) throw new Error(`seed ${seed}, operation ${i}: the list is ${names.join()}`);
          if (next() < 0.1) guest.session.paths.closeAll();
        }
      }
      if (i % 2000 === 0 && shown(hostTree(dir)) !== shown(model)) throw new Error(`seed ${seed}, operation ${i}: the host has another tree`);
    }
    if (shown(hostTree(dir)) !== shown(model)) throw new Error(`seed ${seed}: the host has another tree at the end`);
  } finally {
    guest.close();
    rmSync(dir, { recursive: true });
  }
}
