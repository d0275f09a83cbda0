/** `vmm cp`: Docker's rules for where things go. */
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, posix, resolve } from 'node:path';
import { VmmError } from '../api/errors.ts';
import { hostFs } from '../api/images.ts';
import { runs, StateFolder } from '../api/owner.ts';
import { type DirNode, nodeOfHost, placeTree, Received, recordsFromTree, recordsOf, tarFromTree, type TreeNode, treeWith } from '../api/trees.ts';
import { tmpdir } from 'node:os';
import { ownCommand } from './own-command.ts';
import { HELP } from './common-options.ts';
import { type Place, placeOf, type Target } from './cp-place.ts';
import { oneLine } from './describe.ts';
import { flag } from './options.ts';
import { print, tell } from './output.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const MISSING = 2;
/** The name that a copied thing has on its way. */
const NAME = 'x';

const OPTIONS = {
  root: ROOT,
  archive: flag('keep owners, too', { short: 'a' }),
  followLink: flag('copy what a link that is named leads to', { short: 'L' }),
  quiet: flag('accepted for Docker’s sake: there is no progress line', { short: 'q' }),
  help: HELP,
};

interface Box {
  readonly name: string;
  readonly socket: string;
}

export const CP_COMMAND: Subcommand = subcommand(
  { name: 'cp', synopsis: '[OPTIONS] CONTAINER:PATH PATH|- | [OPTIONS] PATH|- CONTAINER:PATH', about: 'Copies files between a container that runs and the host; `-` is a tar archive on standard input or output.', options: OPTIONS },
  [2, 2, 'a source and a target'],
  async ([source = '', target = ''], { root, archive, followLink }) => {
    const [from, to] = [inContainer(source), inContainer(target)];
    if ((from === undefined) === (to === undefined)) throw new VmmError('USAGE', from === undefined ? 'neither source nor target is in a container' : 'both source and target are in containers', { hint: 'write CONTAINER:PATH for one of them' });
    if (from !== undefined) await copyOut(await boxOf(from.container, root), from.path, target, { owners: archive, follow: followLink });
    else if (to !== undefined) await copyIn(await boxOf(to.container, root), source, to.path, { owners: archive, follow: followLink });
    return 0;
  },
);

/** `NAME:PATH`; what begins like a path of the host is one (`./a:b`). */
function inContainer(text: string): { container: string; path: string } | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0 || text.startsWith('/') || text.startsWith('.')) return undefined;
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

async function boxOf(name: string, root: string | undefined): Promise<Box> {
  const state = new StateFolder(root);
  const one = await state.find(name);
  if (!runs(one)) throw new VmmError('CONTAINER_STATE', `container ${name} does not run`, { hint: '`vmm start` it first' });
  return { name, socket: state.socket(one.record.id) };
}

interface How {
  readonly owners: boolean;
  readonly follow: boolean;
}

function guestPath(path: string): string {
  return posix.resolve('/', path) + (/\/\.?$/.test(path) && !/^\/*\.?$/.test(path) ? '/' : '');
}

/** What is there in the container; where it is a link, what that leads to last. */
async function look({ name, socket }: Box, path: string): Promise<ReturnType<typeof recordsOf> | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { status, said } = await ownCommand(socket, name, ['stat', guestPath(path)], {
    output: (bytes) => {
      length += bytes.length;
      if (length > 1 << 20) throw new VmmError('COPY_GUEST', `container ${name} tells too much of ${path}`);
      chunks.push(bytes);
    },
  });
  if (status === MISSING) return undefined;
  if (status !== 0) throw new VmmError('COPY_GUEST', `container ${name}: ${said || `looking at ${path} ended with ${status}`}`);
  return recordsOf(Buffer.concat(chunks));
}

async function copyOut(box: Box, path: string, target: string, { owners, follow }: How): Promise<void> {
  const records = await look(box, path);
  if (records === undefined || records.length === 0) throw new VmmError('COPY_SOURCE', `there is no ${path} in container ${box.name}`);
  const wantsTarget = follow || /\/\.?$/.test(path);
  const entry = (wantsTarget ? records.at(-1) : records[0]) as (typeof records)[0];
  const isDirectory = entry.type === 'dir';
  if (!isDirectory && /\/\.?$/.test(path)) throw new VmmError('COPY_SOURCE', `${path} in container ${box.name} is no directory`);
  // The guest's kernel follows links before a final slash.
  const sent = guestPath(path).replace(/(.)\/$/, '$1') + (wantsTarget && isDirectory ? '/.' : '');
  const base = posix.basename(posix.resolve('/', path)) || 'rootfs';
  const content = /\/\.$/.test(path) || path === '.';
  const place: Place | undefined = target === '-' ? undefined : placeOf({ isDirectory, base, content }, hostTarget(target));
  const received = new Received(place === undefined ? tmpdir() : place.directory);
  try {
    const reader = received.records();
    const { status, said } = await ownCommand(box.socket, box.name, ['out', wantsTarget && !isDirectory && records.length > 1 ? await realOf(box, path) : sent, NAME], { output: (bytes) => reader.push(bytes) });
    if (status !== 0 || !reader.ended) throw new VmmError('COPY_GUEST', `container ${box.name}: ${said || `it sent half of ${path}`}`);
    const node = received.tree().children.get(NAME);
    if (node === undefined) throw new VmmError('COPY_SOURCE', `${path} in container ${box.name} is nothing that can be copied`);
    if (place === undefined) putTar(node, base, content);
    else tellUnmade(placeTree(place.name === undefined ? (node as DirNode) : treeWith(place.name, node), place.directory, { host: await hostFs(), owners: owners && process.geteuid?.() === 0, overwrite: false }));
  } finally {
    received.close();
  }
}

/** A link of the container that leads to a file, as far as it says itself. */
async function realOf(box: Box, path: string): Promise<string> {
  let at = guestPath(path);
  for (let links = 0; links < 40; links++) {
    const [first] = (await look(box, at)) ?? [];
    if (first?.type !== 'symlink') return at;
    at = posix.resolve(posix.dirname(at), Buffer.from(first.linkTarget, 'latin1').toString());
  }
  return at;
}

function putTar(node: TreeNode, base: string, content: boolean): void {
  for (const chunk of content && node.type === 'dir' ? tarFromTree(node) : tarFromTree(treeWith(base, node), { root: false })) print(chunk);
}

function hostTarget(path: string): Target {
  const stat = statSync(path, { throwIfNoEntry: false });
  const kind = stat === undefined ? 'missing' : stat.isDirectory() ? 'directory' : 'other';
  // What a link leads to is replaced, not the link.
  const real = kind === 'missing' ? resolve(path) : realpathSync(path);
  const parent = statSync(dirname(real), { throwIfNoEntry: false });
  return { shown: path, kind, directory: dirname(real), name: basename(real), path: real, slash: path.endsWith('/'), parent: parent?.isDirectory() === true };
}

async function copyIn(box: Box, source: string, path: string, { owners, follow }: How): Promise<void> {
  const target = await guestTarget(box, path);
  if (source === '-') {
    if (target.kind !== 'directory') throw new VmmError('COPY_TARGET', `${path} in container ${box.name} is no directory`, { hint: 'an archive is unpacked into one' });
    const received = new Received(tmpdir());
    try {
      const reader = received.tar();
      for await (const chunk of process.stdin) reader.push(chunk as Buffer);
      reader.end();
      await sendTree(box, received.tree(), target.path, true);
    } finally {
      received.close();
    }
    return;
  }
  const found = lstatSync(source, { throwIfNoEntry: false });
  if (found === undefined) throw new VmmError('COPY_SOURCE', `there is no ${source}`);
  const node = nodeOfHost(source, follow || /\/\.?$/.test(source));
  const content = /\/\.$/.test(source) || source === '.';
  const place = placeOf({ isDirectory: node.type === 'dir', base: basename(resolve(source)), content }, target);
  await sendTree(box, place.name === undefined ? (node as DirNode) : treeWith(place.name, node), place.directory, owners);
}

async function guestTarget(box: Box, path: string): Promise<Target> {
  const at = guestPath(path).replace(/(.)\/$/, '$1');
  const records = await look(box, at);
  const last = records?.at(-1);
  const kind = last === undefined ? 'missing' : last.type === 'dir' ? 'directory' : 'other';
  const real = kind === 'other' && (records?.length ?? 0) > 1 ? await realOf(box, at) : at;
  const parent = (await look(box, posix.dirname(real)))?.at(-1);
  return { shown: `${box.name}:${path}`, kind, directory: posix.dirname(real), name: posix.basename(real), path: real, slash: path.endsWith('/'), parent: parent?.type === 'dir' };
}

async function sendTree({ name, socket }: Box, tree: DirNode, directory: string, owners: boolean): Promise<void> {
  const { status, said } = await ownCommand(socket, name, ['in', directory], { input: recordsFromTree(tree, owners ? undefined : { uid: 0, gid: 0 }), output: () => {} });
  if (status !== 0) throw new VmmError('COPY_TARGET', `container ${name}: ${said || `it ended with ${status}`}`);
}

function tellUnmade(unmade: ReturnType<typeof placeTree>): void {
  for (const [reason, { count, first }] of unmade) tell(`vmm: ${count} ${reason}${count === 1 ? '' : 's'} could not be made, first at ${oneLine(Buffer.from(first, 'latin1').toString('utf8'))}\n`);
}
