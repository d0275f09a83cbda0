/** Paths as they are inside an app's root, looked up from outside: a link never leads out of it. */
import { type BigIntStats, lstatSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** As the kernel's limit on links in one path. */
const MAX_LINKS = 40;

/**
 * Where `path` of the tree `root` lies on the host, links followed as if `root` were /; undefined when a part is missing. The answer is true
 * as long as nobody changes the tree: it is for questions, not for what is opened afterwards.
 */
export function inside(root: string, path: string): { readonly path: string; readonly stat: Stats | BigIntStats } | undefined {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const done: string[] = [];
  let links = 0;
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    if (part === '..') {
      done.pop();
      continue;
    }
    const at = join(root, ...done, part);
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (!stat.isSymbolicLink()) {
      done.push(part);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return undefined;
    const target = readlinkSync(at);
    if (target.startsWith('/')) done.length = 0;
    parts.unshift(...target.split('/').filter((each) => each !== '' && each !== '.'));
  }
  const at = join(root, ...done);
  const stat = lstatSync(at, { throwIfNoEntry: false });
  return stat === undefined ? undefined : { path: at, stat };
}
