/** What the guest's kernel tells of a container, as numbers. Its texts are a guest's: whatever is in them, numbers come out. */
import type { Stats } from './protocol.ts';

const MOST = Number.MAX_SAFE_INTEGER;

function numberOf(text: string | undefined): number {
  const value = /^\d{1,20}$/.test(text ?? '') ? Number(text) : 0;
  return Math.min(value, MOST);
}

/** The value behind a word of a file of `word value` lines. */
function figureOf(text: string | undefined, word: string): number {
  const line = text?.split('\n').find((candidate) => candidate.startsWith(`${word} `));
  return numberOf(line?.slice(word.length + 1).trim());
}

/** Sum over all devices of one key of io.stat: `254:0 rbytes=1 wbytes=2 …`. */
function ioOf(text: string | undefined, key: string): number {
  const values = (text ?? '').split(/\s+/).filter((word) => word.startsWith(`${key}=`)).map((word) => numberOf(word.slice(key.length + 1)));
  return Math.min(values.reduce((sum, value) => sum + value, 0), MOST);
}

/** Sum of a column of /proc/net/dev (net/core/net-procfs.c: bytes received are the first, bytes sent the ninth) over all cards but the loopback. */
function cardsOf(text: string | undefined, column: number): number {
  const cards = (text ?? '').split('\n').flatMap((line) => {
    const [, name, figures] = /^\s*([^:\s]+):(.*)$/.exec(line) ?? [];
    return name === undefined || name === 'lo' ? [] : [numberOf(figures?.trim().split(/\s+/)[column])];
  });
  return Math.min(cards.reduce((sum, value) => sum + value, 0), MOST);
}

/** Of a cgroup's files and the machine's, by name (docs/agent-protocol.md, STATS). */
export function statsOf(cgroup: ReadonlyMap<string, string>, machine: ReadonlyMap<string, string>, now: number): Stats {
  const total = 1024 * numberOf(/^MemTotal:\s+(\d+) kB$/m.exec(machine.get('/proc/meminfo') ?? '')?.[1]);
  return {
    cpuUs: figureOf(cgroup.get('cpu.stat'), 'usage_usec'),
    at: now,
    cpus: machine.get('/proc/stat')?.match(/^cpu\d+ /gm)?.length ?? 1,
    memory: numberOf(cgroup.get('memory.current')?.trim()),
    memoryLimit: total,
    pids: numberOf(cgroup.get('pids.current')?.trim()),
    blockRead: ioOf(cgroup.get('io.stat'), 'rbytes'),
    blockWritten: ioOf(cgroup.get('io.stat'), 'wbytes'),
    netReceived: cardsOf(machine.get('/proc/net/dev'), 0),
    netSent: cardsOf(machine.get('/proc/net/dev'), 8),
  };
}
