/** Copies between a container and the host, by Docker's rules for where things go. */
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, posix, resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { nodeOfHost, placeTree, Received, treeWith } from '../../image/archive/copy.ts';
import { type ListedEntry, recordsFromTree, recordsOf } from '../../image/archive/records.ts';
import type { Unmade } from '../../image/rootfs/unpack.ts';
import { tarFromTree } from '../../image/tar/writer.ts';
import type { DirNode, TreeNode } from '../../image/tree/node.ts';
import { hostFs } from '../guest/host-fs.ts';
import type { Box } from './box.ts';
import { type Place, placeOf, type Target } from './copy-place.ts';
import { MISSING, type OwnIo, ownCommand } from './own-command.ts';

/** The name that a copied thing has on its way. */
const NAME = 'x';
const MOST_LINKS = 40;

/** Where something is copied from or to. */
export interface CopyBox {
  readonly box: Pick<Box, 'builtin'>;
  /** For messages: `container web`. */
  readonly what: string;
}

export interface How {
  /** Owners are copied, too; else what is copied belongs to who copies, in a container to root. */
  readonly owners: boolean;
  /** What a link that is named leads to is copied, not the link. */
  readonly follow: boolean;
  /** Who does it in the container, and owns what is made there, '' for its own user; root, who may give it to others. */
  readonly user?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** chown(2): as it was made. */
const UNCHANGED = 0xffff_ffff;

function guestPath(path: string): string {
  return posix.resolve('/', path) + (/\/\.?$/.test(path) && !/^\/*\.?$/.test(path) ? '/' : '');
}

async function run({ box }: CopyBox, args: readonly string[], io: OwnIo, user?: string): ReturnType<typeof ownCommand> {
  return ownCommand(await box.builtin(args, io.input !== undefined, user), io);
}

/** What is there in the container; where it is a link, what that leads to last. */
async function look(from: CopyBox, path: string): Promise<ListedEntry[] | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { status, said } = await run(from, ['stat', guestPath(path)], {
    output: (bytes) => {
      length += bytes.length;
      if (length > 1 << 20) throw new VmmError('COPY_GUEST', `${from.what} tells too much of ${path}`);
      chunks.push(Buffer.from(bytes));
    },
  });
  if (status === MISSING) return undefined;
  if (status !== 0) throw new VmmError('COPY_GUEST', `${from.what}: ${said || `looking at ${path} ended with ${status}`}`);
  return recordsOf(Buffer.concat(chunks));
}

/** A link of the container that leads to a file, as far as it says itself. */
async function realOf(from: CopyBox, path: string): Promise<string> {
  let at = guestPath(path);
  for (let links = 0; links < MOST_LINKS; links++) {
    const [first] = (await look(from, at)) ?? [];
    if (first?.type !== 'symlink') return at;
    at = posix.resolve(posix.dirname(at), Buffer.from(first.linkTarget, 'latin1').toString());
  }
  return at;
}

/** To a path of the host, or as an archive to who takes it. Gives what could not be made. Throws COPY_*, IMAGE_*, and as `ownCommand`. */
export async function copyOut(from: CopyBox, path: string, target: string | ((chunk: Buffer) => void), { owners, follow, user, signal }: How): Promise<Unmade> {
  const records = await look(from, path);
  if (records === undefined || records.length === 0) throw new VmmError('COPY_SOURCE', `there is no ${path} in ${from.what}`);
  const wantsTarget = follow || /\/\.?$/.test(path);
  const entry = (wantsTarget ? records.at(-1) : records[0]) as (typeof records)[0];
  const isDirectory = entry.type === 'dir';
  if (!isDirectory && /\/\.?$/.test(path)) throw new VmmError('COPY_SOURCE', `${path} in ${from.what} is no directory`);
  // The guest's kernel follows links before a final slash.
  const sent = guestPath(path).replace(/(.)\/$/, '$1') + (wantsTarget && isDirectory ? '/.' : '');
  const base = posix.basename(posix.resolve('/', path)) || 'rootfs';
  const content = /\/\.$/.test(path) || path === '.';
  const place: Place | undefined = typeof target !== 'string' ? undefined : placeOf({ isDirectory, base, content }, hostTarget(target));
  const received = new Received(place === undefined ? tmpdir() : place.directory);
  try {
    const reader = received.records();
    const { status, said } = await run(from, ['out', wantsTarget && !isDirectory && records.length > 1 ? await realOf(from, path) : sent, NAME], { output: (bytes) => reader.push(bytes), signal }, user);
    if (status !== 0 || !reader.ended) throw new VmmError('COPY_GUEST', `${from.what}: ${said || `it sent half of ${path}`}`);
    const node = received.tree().children.get(NAME);
    if (node === undefined) throw new VmmError('COPY_SOURCE', `${path} in ${from.what} is nothing that can be copied`);
    if (typeof target !== 'string') {
      putTar(node, { base, content }, target);
      return new Map();
    }
    const { directory, name } = place as Place;
    return placeTree(name === undefined ? (node as DirNode) : treeWith(name, node), directory, { host: await hostFs(), owners: owners && process.geteuid?.() === 0, overwrite: false });
  } finally {
    received.close();
  }
}

function putTar(node: TreeNode, { base, content }: { readonly base: string; readonly content: boolean }, put: (chunk: Buffer) => void): void {
  for (const chunk of content && node.type === 'dir' ? tarFromTree(node) : tarFromTree(treeWith(base, node), { root: false })) put(chunk as Buffer);
}

function hostTarget(path: string): Target {
  const stat = statSync(path, { throwIfNoEntry: false });
  const kind = stat === undefined ? 'missing' : stat.isDirectory() ? 'directory' : 'other';
  // What a link leads to is replaced, not the link.
  const real = kind === 'missing' ? resolve(path) : realpathSync(path);
  const parent = statSync(dirname(real), { throwIfNoEntry: false });
  return { shown: path, kind, directory: dirname(real), name: basename(real), path: real, slash: path.endsWith('/'), parent: parent?.isDirectory() === true };
}

/** From a path of the host, or of an archive. Throws COPY_*, IMAGE_*, and as `ownCommand`. */
export async function copyIn(to: CopyBox, source: string | AsyncIterable<Buffer>, path: string, how: How): Promise<void> {
  const target = await guestTarget(to, path);
  if (typeof source !== 'string') {
    if (target.kind !== 'directory') throw new VmmError('COPY_TARGET', `${path} in ${to.what} is no directory`, { hint: 'an archive is unpacked into one' });
    const received = new Received(tmpdir());
    try {
      const reader = received.tar();
      for await (const chunk of source) reader.push(chunk);
      reader.end();
      await sendTree(to, received.tree(), target.path, { ...how, owners: true });
    } finally {
      received.close();
    }
    return;
  }
  const found = lstatSync(source, { throwIfNoEntry: false });
  if (found === undefined) throw new VmmError('COPY_SOURCE', `there is no ${source}`);
  const node = nodeOfHost(source, how.follow || /\/\.?$/.test(source));
  const content = /\/\.$/.test(source) || source === '.';
  const place = placeOf({ isDirectory: node.type === 'dir', base: basename(resolve(source)), content }, target);
  await sendTree(to, place.name === undefined ? (node as DirNode) : treeWith(place.name, node), place.directory, how);
}

async function guestTarget(to: CopyBox, path: string): Promise<Target> {
  const at = guestPath(path).replace(/(.)\/$/, '$1');
  const records = await look(to, at);
  const last = records?.at(-1);
  const kind = last === undefined ? 'missing' : last.type === 'dir' ? 'directory' : 'other';
  const real = kind === 'other' && (records?.length ?? 0) > 1 ? await realOf(to, at) : at;
  const parent = (await look(to, posix.dirname(real)))?.at(-1);
  return { shown: `${path} in ${to.what}`, kind, directory: posix.dirname(real), name: posix.basename(real), path: real, slash: path.endsWith('/'), parent: parent?.type === 'dir' };
}

async function sendTree(to: CopyBox, tree: DirNode, directory: string, { owners, user, signal }: How): Promise<void> {
  const owner = user !== undefined ? { uid: UNCHANGED, gid: UNCHANGED } : owners ? undefined : { uid: 0, gid: 0 };
  const { status, said } = await run(to, ['in', directory], { input: recordsFromTree(tree, owner), signal }, user);
  if (status !== 0) throw new VmmError('COPY_TARGET', `${to.what}: ${said || `it ended with ${status}`}`);
}
