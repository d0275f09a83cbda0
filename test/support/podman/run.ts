/** The same command lines for podman and for vmm, and what both say to them. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, ROOT } from '../cli/cli.ts';
import { busyboxImage } from '../guests/busybox-image.ts';
import { HANG_MS } from '../limits.ts';

/** Of standard error a complaint of the tool itself is `ERROR`: the words are its own. */
export interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line in which IMAGE, DIR (a folder) and ID, ID8 (the id that was printed last, its beginning) stand for each side's own. */
export type Words = readonly string[];
export type Step =
  | Words
  /** Asked again until it prints this, or for '' nothing. */
  | { readonly until: string; readonly words: Words }
  /** Their answers are sorted. `quiet`: their statuses alone. */
  | { readonly atOnce: readonly Words[]; readonly quiet?: true }
  | { readonly stdin: string; readonly words: Words }
  /** On a terminal of 77 columns and 33 rows. */
  | { readonly tty: Words }
  /** Its client gets the signal once `one` runs and its log has `ready`. */
  | { readonly signal: NodeJS.Signals; readonly words: Words }
  /** The contents of a file of DIR. */
  | { readonly file: string };

export interface Side {
  readonly say: (step: Step) => Promise<Said>;
  /** Removes all containers, and the files of DIR. */
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const MADE = /^(run|create)$/;
const ID = /[0-9a-f]{64}/;
const POLL_MS = 50;

/** How one of the two is called. */
interface Tool {
  readonly command: (words: Words) => readonly [program: string, ...Words];
  readonly image: string;
  readonly options: Words;
}

function call([program, ...rest]: readonly [string, ...Words], stdin: string, started?: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Said> {
  const env: Record<string, string | undefined> = { ...process.env, TERM: 'xterm' };
  for (const name of Object.keys(env)) if (name.startsWith('NODE_') || name.startsWith('VITEST')) delete env[name];
  const child = spawn(program, rest, { cwd: ROOT, env, stdio: 'pipe' });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data: Buffer) => (said.stdout += data.toString('latin1')));
  child.stderr.on('data', (data: Buffer) => (said.stderr += data.toString('latin1')));
  child.stdin.on('error', () => {}).end(stdin);
  const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
  started?.((signal) => void child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, ...said });
    });
  });
}

const shown = (text: string): string => text.replaceAll(/[0-9a-f]{64}/g, 'ID').replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b/g, 'ID12');
/** podman’s log lines are not its answer; with its usage a complaint has more lines than one, which vmm’s may not have. */
function complaint(text: string): string {
  const lines = text.split('\n').filter((line) => !line.startsWith('time="'));
  const at = lines.findIndex((line) => line.startsWith('Error: '));
  if (at >= 0) return [...lines.slice(0, at), 'ERROR', ''].join('\n');
  return lines.map((line) => (/^vmm: .*\[[A-Z_]+\]$/.test(line) ? 'ERROR' : line)).join('\n');
}

function side(tool: Tool): Side {
  const dir = mkdtempSync(join(tmpdir(), 'vmm-beside-'));
  let id = '';
  const own = (words: Words): Words => words.map((word) => word.replaceAll('IMAGE', tool.image).replaceAll('DIR', dir).replace(/^ID(8?)\b/, (_, short: string) => (short === '' ? id : id.slice(0, 8))));
  const line = (words: Words): readonly [string, ...Words] => tool.command(own(MADE.test(words[0] ?? '') ? [words[0] as string, ...tool.options, ...words.slice(1)] : words));
  async function raw(words: Words, stdin = ''): Promise<Said> {
    const said = await call(line(words), stdin);
    id = ID.exec(said.stdout)?.[0] ?? id;
    return said;
  }
  async function until(text: string, words: Words): Promise<Said> {
    for (const end = Date.now() + HANG_MS; ;) {
      const said = await raw(words);
      if (text === '' ? said.stdout === '' : said.stdout.includes(text)) return { status: 0, stdout: text, stderr: '' };
      if (Date.now() > end) throw new Error(`${tool.command(words).join(' ')} does not say ${text}: ${JSON.stringify(said)}`);
      await sleep(POLL_MS);
    }
  }
  async function signalled(signal: NodeJS.Signals, words: Words): Promise<Said> {
    let kill = (_: NodeJS.Signals): void => {};
    const said = call(line(words), '', (given) => (kill = given));
    await until('ready', ['logs', 'one']);
    await until('running', ['inspect', '-f', '{{.State.Status}}', 'one']); // podman writes that down later, and passes no signal on before
    kill(signal);
    return said;
  }
  const quoted = (words: Words): string => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  async function plain(step: Step): Promise<Said> {
    if ('until' in step) return until(step.until, step.words);
    if ('atOnce' in step) {
      const all = (await Promise.all(step.atOnce.map((words) => raw(words)))).map(({ status, stdout }) => (step.quiet ? `${status} ` : `${status} ${stdout}`));
      return { status: 0, stdout: all.toSorted().join(''), stderr: '' };
    }
    if ('tty' in step) {
      const said = await call(['script', '-qefc', `stty rows 33 cols 77; exec ${quoted(line(step.tty))}`, '/dev/null'], '');
      return { ...said, stdout: said.stdout.replaceAll('^@', '') }; // how the terminal shows that script's input has ended
    }
    if ('signal' in step) return signalled(step.signal, step.words);
    if ('file' in step) return { status: 0, stdout: existsSync(join(dir, step.file)) ? readFileSync(join(dir, step.file), 'latin1') : 'no such file', stderr: '' };
    return 'stdin' in step ? raw(step.words, step.stdin) : raw(step);
  }
  const clear = async (): Promise<void> => {
    const ids = (await raw(['ps', '-aq'])).stdout.split('\n').filter((each) => each !== '');
    if (ids.length > 0) await raw(['rm', '-f', ...ids]);
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir);
    writeFileSync(join(dir, 'in'), 'a file\n');
    writeFileSync(join(dir, 'env'), '# a comment\nA=b c\nB=\n');
  };
  return {
    say: async (step) => {
      const { status, stdout, stderr } = await plain(step);
      const whole = shown(stdout);
      return { status, stdout: id === '' ? whole : whole.replaceAll(id.slice(0, 8), 'ID8'), stderr: complaint(stderr) };
    },
    clear,
    close: async () => {
      await clear();
      rmSync(dir, { recursive: true });
    },
  };
}

export const PODMAN = spawnSync('podman', ['--version'], { encoding: 'utf8', timeout: HANG_MS }).stdout ?? '';
/** crun refuses hosts with controllers of both versions of cgroups: it is shown version 1 alone. */
const UNIFIED = '/sys/fs/cgroup/unified';

export interface Both {
  readonly podman: Side;
  readonly vmm: Side;
  readonly close: () => Promise<void>;
}

/** podman with a store of its own, and a vmm with a state directory of its own, of one image: busybox. */
export function both(): Both {
  const image = busyboxImage();
  const folder = mkdtempSync(join(tmpdir(), 'vmm-podman-'));
  const seen: Words = existsSync(UNIFIED) ? ['unshare', '-m', 'sh', '-c', `umount ${UNIFIED}; exec "$@"`, 'sh'] : ['env'];
  const podman = side({
    image: 'localhost/one',
    // `rm -f` kills at once with Docker, here not before ten seconds: `--force` does, which is a case.
    // Its own limits are above what a container of ours may ask for.
    options: ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'],
    command: (words) => [seen[0] as string, ...seen.slice(1), 'podman', '--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', ...(words[0] === 'rm' && words[1] === '-f' ? ['rm', '-f', '-t', '0', ...words.slice(2)] : words)],
  });
  const vmm = side({
    image, options: ['--network', 'none', '--accel', 'wasm', '-m', '128m'],
    command: ([command = '', ...rest]) => [process.execPath, BIN, command, '--root', join(folder, 'vmm'), ...rest],
  });
  const tar = join(folder, 'one.tar');
  execFileSync('tar', ['-C', image, '-cf', tar, '.'], { timeout: HANG_MS });
  execFileSync(seen[0] as string, [...seen.slice(1), 'podman', '--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs', 'import', '-q', tar, 'localhost/one'], { timeout: HANG_MS, stdio: 'ignore' });
  return {
    podman, vmm,
    close: async () => {
      await Promise.all([podman.close(), vmm.close()]);
      for (const each of [image, folder]) rmSync(each, { recursive: true });
    },
  };
}
