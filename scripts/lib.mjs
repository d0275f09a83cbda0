// Shared by the project's scripts. No packages, and nothing that Node 20 lacks: it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const cache = join(root, '.cache');
/** The Node that this project is developed with: a package of npm's (docs/decisions/0011-node.md). */
export const ownNode = join(root, 'node_modules', '.bin', 'node');

/** Does the rest of this program's work with `ownNode`, where another Node has started it: does not return then. */
export function continueWithOwnNode() {
  if (realpathSync(process.execPath) === realpathSync(ownNode)) return;
  const { status, signal } = spawnSync(ownNode, ['--', ...process.argv.slice(1)], { stdio: 'inherit' });
  if (signal) process.kill(process.pid, signal);
  process.exit(status ?? 1);
}

/** This process's environment without NODE_*, some of which make Node's own start several times longer. */
export function envWithoutNode() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')));
}

/** Runs a command with its output on stderr; ends the script with the command's status when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) fail(`${command} ${args.join(' ')} failed with status ${result.status ?? result.signal}`, result.status ?? 1);
}

export function fail(message, status = 1) {
  process.stderr.write(`${message}\n`);
  process.exit(status);
}

export function say(message) {
  process.stderr.write(`${message}\n`);
}

/** All files below `dir` (relative to the root) whose name passes `keep`, sorted. */
export function filesBelow(dir, keep = () => true) {
  const out = [];
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && keep(entry.name)) out.push(path);
    }
  };
  const start = join(root, dir);
  if (existsSync(start)) walk(start);
  return out.sort();
}

/** One hash over the contents and names of files. */
export function hashFiles(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${relative(root, path)}\0`).update(readFileSync(path)).update('\0');
  return hash.digest('hex');
}

/**
 * Runs `make` unless the stamp `name` already holds `key` and all `outputs` exist. A stamp is written only after
 * success, so an interrupted step is done again.
 */
export function step(name, key, outputs, make) {
  const stamp = join(cache, 'stamps', name);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key && outputs.every((path) => existsSync(path))) return false;
  make();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, key);
  return true;
}

/** As `step`, for work that is asynchronous; `key` is asked again after it, so it may depend on the outputs. */
export async function stepAsync(name, key, outputs, make) {
  const stamp = join(cache, 'stamps', name);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key() && outputs.every((path) => existsSync(path))) return false;
  await make();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, key());
  return true;
}

/** A process, told from a later one with its number by its start time (proc(5), stat, field 22); undefined when it has ended. */
function processId(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return undefined;
  }
}

/** Takes a lock file for this process; one whose holder has died is taken over. False: another process has it. `rmSync` gives it back. */
export function tryLock(path) {
  try {
    writeFileSync(path, processId(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  let holder = '';
  try {
    holder = readFileSync(path, 'utf8');
  } catch {
    return false; // given back just now
  }
  // Empty: its holder is about to write.
  if (holder !== '' && processId(holder.split(' ')[0]) !== holder) rmSync(path, { force: true });
  return false;
}

let aptUpdated = false;
/** Another process may have apt's lock for a while: it is waited for, ten minutes at most. */
const APT = ['-qq', '-o', 'DPkg::Lock::Timeout=600'];

/** Installs Debian packages of which a witness file is missing: {package: witness path}. */
export function needDebian(packages) {
  const missing = Object.entries(packages).filter(([, witness]) => !existsSync(witness)).map(([name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) fail(`missing Debian packages: install them with\n  sudo apt-get install ${missing.join(' ')}`);
  say(`installing Debian packages: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  if (!aptUpdated) {
    run('apt-get', [...APT, 'update'], { env });
    aptUpdated = true;
  }
  run('apt-get', [...APT, '-y', '--no-install-recommends', 'install', ...missing], { env });
}

export function newer(path, than) {
  return existsSync(path) && statSync(path).mtimeMs > than;
}
