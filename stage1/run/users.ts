/** Who an app runs as, and what, looked up in its root before the machine starts (rkt's rules: rkt-stage1 "Users, exec lookup, environment"). */
import { closeSync, openSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import type { App } from '../../image/appc/schema/app.ts';
import { inside } from '../../vmm/api/pods.ts';
import { Failure, oneLine } from '../common/failure.ts';

const FILE_MAX = 1 << 20;

/**
 * `UID:GID`. Numbers and `root` are taken as they are, a path is its owner; else the app's passwd and group. A group of a Docker image that has its
 * user's name, and does not exist, has the user's number. Throws Failure.
 */
export function userOf(name: string, { user, group }: App, root: string, docker: boolean): string {
  const uid = idOf(name, user, root, 'user');
  try {
    return `${uid}:${idOf(name, group, root, 'group')}`;
  } catch (error) {
    if (docker && group === user && error instanceof Failure) return `${uid}:${uid}`;
    throw error;
  }
}

function idOf(app: string, text: string, root: string, what: 'user' | 'group'): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 0xffff_ffff) return Number(text);
  if (text === 'root') return 0;
  if (text.startsWith('/')) {
    const stat = inside(root, text)?.stat;
    if (stat === undefined) throw new Failure(`app ${app}: its ${what} is that of ${oneLine(text)}, which is not there`);
    return Number(what === 'user' ? stat.uid : stat.gid);
  }
  for (const line of lines(root, what === 'user' ? '/etc/passwd' : '/etc/group')) {
    const [name, , id = ''] = line.split(':');
    if (name === text && /^\d{1,10}$/.test(id)) return Number(id);
  }
  throw new Failure(`app ${app}: ${what} ${oneLine(text)} is not in its ${what === 'user' ? '/etc/passwd' : '/etc/group'}`);
}

function lines(root: string, path: string): string[] {
  const found = inside(root, path);
  if (found === undefined || !found.stat.isFile()) return [];
  const bytes = Buffer.alloc(Math.min(Number(found.stat.size), FILE_MAX));
  const fd = openSync(found.path, 'r');
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0)).split('\n');
  } finally {
    closeSync(fd);
  }
}

const EXECUTABLE = 0o111;

/** The command with its first word as a path in the app's root. Throws Failure. */
export function commandOf(name: string, image: string, { exec, environment, workingDirectory }: App, root: string): readonly string[] {
  const [first, ...rest] = exec;
  if (first === undefined || first === '') throw new Failure(`image "${oneLine(image)}" has an empty "exec" (try --exec=BINARY)`);
  const cwd = workingDirectory ?? '/';
  if (first.startsWith('/')) return [first, ...rest];
  if (first.includes('/')) return [posix.join(cwd, first), ...rest];
  const path = environment.find((each) => each.name === 'PATH')?.value;
  const folders = path === undefined ? [cwd, '/bin', '/usr/bin'] : path.split(':').filter((folder) => folder.startsWith('/'));
  for (const folder of folders) {
    const at = posix.join(folder, first);
    const stat = inside(root, at)?.stat;
    if (stat?.isFile() && (Number(stat.mode) & EXECUTABLE) !== 0) return [at, ...rest];
  }
  throw new Failure(`app ${name}: unable to find "${oneLine(first)}" in "${folders.join(':')}"`);
}
