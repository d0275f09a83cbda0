/** One run of a command: how long until it says the word, until its end, and what it took. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { env } from '../start/process.ts';
import type { Phase, Trouble } from './log.ts';
import { figuresOfMarks, MARKS, namedPhases, phasesOfMarks } from './marks.ts';

export interface Taken {
  readonly figures: Readonly<Record<string, number>>;
  readonly phases?: readonly Phase[];
}

/** Why a run gives no sample. */
export class Failed extends Error {
  readonly what: Trouble['what'];

  constructor(what: Trouble['what'], detail: string) {
    super(detail);
    this.what = what;
  }
}

/** Most bytes that are kept of what a peer prints. */
const MOST = 1 << 20;
const MOST_MARKS = 1000;
/** How long a machine has to end by itself, once its init has said the word and ended. */
const GRACE_MS = 2000;
const running = new Set<ChildProcess>();

/** Ends the process groups of what still runs. */
export function stopAll(): void {
  for (const child of running) kill(child);
}

/** Ends a process and all below it; a container's first process is in no group of its runtime's. */
function kill({ pid }: ChildProcess): void {
  for (const each of family(pid!)) end(each);
  end(-pid!);
}

/** Ends what a runtime has started, so that it cleans up behind it, and else the process itself. */
function finish(child: ChildProcess): void {
  const below = family(child.pid!).slice(1);
  if (below.length === 0) kill(child);
  for (const each of below) end(each);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended meanwhile
  }
}

/** The process and all below it. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(readFileSync(`/proc/${name}/stat`, 'latin1').replace(/^.*\) . /s, '').split(' ')[0]));
    } catch {
      // it has ended meanwhile
    }
  }
  const found = [pid];
  for (const each of found) found.push(...[...parents].filter(([, parent]) => parent === each).map(([child]) => child));
  return found;
}

/** What `--timeline` prints: each clock point, and the time since the one before. */
export function phasesOf(stderr: string): Phase[] {
  return namedPhases([...stderr.matchAll(/^ *[\d.]+ ms +\+ +([\d.]+) +(?:\d+ page faults +)?(\S.*)$/gm)].map(([, ms, name]) => ({ name: name!, ms: Number(ms) })));
}

/** Bash tells a child's CPU time with that of all that it waited for; on descriptor 3, apart from what the child prints. */
const TIMED = ['-c', 'TIMEFORMAT="times %U %S"; { time "$@" 2>&4; } 4>&2 2>&3', 'bash'];

export interface Expected {
  /** A line of its output; undefined: it says nothing, and its end counts. */
  readonly word?: string | undefined;
  /** What it does then: end well; end somehow, or else be ended (`stays`); stay until it was looked at, which gives more figures. */
  readonly after: 'ends' | 'stays' | ((pid: number) => Promise<Readonly<Record<string, number>>>);
  readonly limitMs: number;
}

/** Tells each byte that comes by a socket. */
async function listen(path: string, mark: (byte: number) => void): Promise<Server> {
  const server = createServer((peer) => void peer.on('data', (bytes: Buffer) => bytes.forEach((byte) => mark(byte))).on('error', () => {}));
  await new Promise<void>((resolve, reject) => server.once('error', (error) => reject(new Failed('fails', error.message))).listen(path, resolve));
  return server;
}

/** One run of a command. Rejects with `Failed`. */
export async function once(command: readonly string[], { word, after, limitMs }: Expected): Promise<Taken> {
  const look = typeof after === 'function' ? after : undefined;
  const [program, ...args] = look === undefined ? ['bash', ...TIMED, ...command] : command;
  const socket = command.map((arg) => new RegExp(`path=(/.*\\${MARKS})$`).exec(arg)?.[1]).find((path) => path !== undefined);
  const marks: [number, number][] = [];
  const listening = socket === undefined ? undefined : await listen(socket, (byte) => marks.length < MOST_MARKS && marks.push([byte, performance.now()]));
  return new Promise<Taken>((resolve, reject) => {
    const start = performance.now();
    const since = (): number => performance.now() - start;
    const child = spawn(program!, args, { env: env as NodeJS.ProcessEnv, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true });
    running.add(child);
    const text = ['', '', '', ''];
    const figures: Record<string, number> = {};
    let hangs = false;
    let grace: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      hangs = true;
      kill(child);
    }, limitMs);
    for (const fd of [1, 2, 3]) {
      (child.stdio[fd] as NodeJS.ReadableStream).on('data', (bytes: Buffer) => {
        if (text[fd]!.length < MOST) text[fd] += bytes.toString('latin1');
        if (fd !== 1 || word === undefined || figures['output ms'] !== undefined || !text[1]!.split(/\r?\n/).includes(word)) return;
        figures['output ms'] = since();
        if (look !== undefined) void look(child.pid!).then((more) => Object.assign(figures, more), () => {}).then(() => finish(child));
        if (after === 'stays') grace = setTimeout(() => finish(child), GRACE_MS);
      });
    }
    child.on('error', (error) => {
      clearTimeout(timer);
      running.delete(child);
      reject(new Failed('missing', error.message));
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      clearTimeout(grace);
      running.delete(child);
      const said = text[2]!.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
      if (hangs) return reject(new Failed('hangs', `${word !== undefined && figures['output ms'] === undefined ? 'no output' : 'no end'} within ${limitMs / 1000} s`));
      if (after === 'ends' && status !== 0) return reject(new Failed('fails', `status ${status ?? signal}: ${said}`));
      if (word !== undefined && figures['output ms'] === undefined) return reject(new Failed(after !== 'ends' && status !== 0 ? 'fails' : 'wrong output', `ended with ${status ?? signal} without the word: ${said || text[1]!.trim().slice(0, 200)}`));
      const times = /^times ([\d.]+) ([\d.]+)$/m.exec(text[3]!);
      if (after === 'ends') figures['end ms'] = since();
      if (times !== null) figures['CPU ms'] = 1000 * (Number(times[1]) + Number(times[2]));
      const phases = socket === undefined ? phasesOf(text[2]!) : phasesOfMarks(marks.map(([byte, at]) => [byte, at - start]));
      Object.assign(figures, figuresOfMarks(phases));
      resolve({ figures, ...(phases.length > 0 ? { phases } : {}) });
    });
  }).finally(() => listening?.close());
}

/** Several runs at once: until the last has ended, and how many a second. */
export async function many(commands: readonly (readonly string[])[], word: string, limitMs: number): Promise<Taken> {
  const start = performance.now();
  const all = await Promise.allSettled(commands.map((command) => once(command, { word, after: 'ends', limitMs })));
  const ms = performance.now() - start;
  const lost = all.filter((result) => result.status === 'rejected');
  if (lost.length > 0) throw new Failed((lost[0]!.reason as Failed).what, `${lost.length} of ${all.length} lost; the first: ${(lost[0]!.reason as Error).message}`);
  return { figures: { 'all ended ms': ms, 'ms a start': ms / commands.length } };
}
