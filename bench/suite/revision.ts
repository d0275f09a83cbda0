/** Another revision of this checkout, built to be measured in turns with this one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../harness.ts';
import { env, folder, programOf } from '../start/process.ts';
import type { Program } from './peer.ts';

const BUILD_MS = 30 * 60_000;

function git(...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw new Error(error?.message ?? stderr.trim().split('\n')[0]);
  return stdout.trim();
}

/** The two sides of a comparison: this checkout as it is built, and REV; each with a store and a cache of V8's code of its own, and this Node. Throws Error. */
export function revisions(rev: string): readonly Program[] {
  let commit: string;
  try {
    commit = git('rev-parse', '--verify', '--quiet', '--end-of-options', `${rev}^{commit}`);
  } catch (error) {
    throw new Error(`there is no such revision here${(error as Error).message ? `: ${(error as Error).message}` : ''}`);
  }
  const short = commit.slice(0, 10);
  return [program('', ROOT, 'here'), program(` at ${short}`, built(commit, short), short)];
}

function program(suffix: string, checkout: string, name: string): Program {
  const store = join(folder, `store-${name}`);
  return { suffix, store, command: ['env', `VMM_STORE=${store}`, ...programOf(checkout, process.execPath, name)] };
}

/** Its files, with what its own set-up makes of them, in a folder that goes with this process. */
function built(commit: string, short: string): string {
  const tree = join(folder, `tree-${short}`);
  mkdirSync(tree);
  process.stderr.write(`vmm: building ${short}\n`);
  const run = (program: string, args: readonly string[]): void => {
    const { status, error } = spawnSync(program, args, { cwd: tree, env: env as NodeJS.ProcessEnv, stdio: ['ignore', 2, 2], timeout: BUILD_MS });
    if (status !== 0) throw new Error(`${short} cannot be built: ${program} ${args.join(' ')}: ${error?.message ?? `status ${status}`}`);
  };
  const archive = join(folder, `${short}.tar`);
  execFileSync('git', ['archive', '--format=tar', '-o', archive, commit], { cwd: ROOT, timeout: 60_000 });
  run('tar', ['-xf', archive]);
  // Equal packages need not be fetched: its set-up finds them, and its own stamp beside them. A copy, for `npm ci` empties what it finds.
  const lock = (dir: string): string => readFileSync(join(dir, 'package-lock.json'), 'utf8');
  if (lock(tree) === lock(ROOT)) {
    run('cp', ['-a', '--reflink=auto', join(ROOT, 'node_modules'), tree]);
    mkdirSync(join(tree, '.cache/stamps'), { recursive: true });
    copyFileSync(join(ROOT, '.cache/stamps/npm'), join(tree, '.cache/stamps/npm'));
  }
  run('npm', ['run', 'setup']);
  return tree;
}
