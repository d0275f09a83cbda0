/** `vmm stats`: what containers use, as Docker shows it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { askOwner, type Container, StateFolder, type Stats } from '../api/owner.ts';
import { HELP } from './common-options.ts';
import { flag, value } from './options.ts';
import { print } from './output.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';
import { listed } from './listed.ts';

/** Between two looks, ms. */
const EVERY_MS = 1000;
const SHORT = 12;
const TABLE = 'table {{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}';
const TITLES = { ID: 'CONTAINER ID', CPUPerc: 'CPU %', MemUsage: 'MEM USAGE / LIMIT', MemPerc: 'MEM %', NetIO: 'NET I/O', BlockIO: 'BLOCK I/O' };

const OPTIONS = {
  root: ROOT,
  all: flag('those that do not run, too', { short: 'a' }),
  format: value('TEMPLATE', 'a Go template of .ID .Name .Container .CPUPerc .MemUsage .MemPerc .NetIO .BlockIO .PIDs, or json'),
  noStream: flag('once, instead of each second'),
  noTrunc: flag('whole ids'),
  help: HELP,
};

export const STATS_COMMAND: Subcommand = subcommand({ name: 'stats', synopsis: '[OPTIONS] [CONTAINER…]', about: 'Shows what containers use: of CPUs, memory, networks, disks.', options: OPTIONS }, [0, Number.POSITIVE_INFINITY, 'containers'], async (names, options) => {
  const state = new StateFolder(options.root);
  const before = new Map<string, Stats>();
  const screen = !options.noStream && process.stdout.isTTY && options.format === undefined;
  for (let first = true; ; first = false) {
    const chosen = names.length > 0 ? await Promise.all(names.map((name) => state.find(name))) : (await listed(state)).filter((one) => options.all || one.state === 'running' || one.state === 'paused');
    const taken = await Promise.all(chosen.map(async (one) => ({ one, stats: await figures(one, state) })));
    // CPU time is a difference of two looks.
    if (!first) {
      const rows = taken.map(({ one, stats }) => rowOf(one, stats, before.get(one.record.id), options.noTrunc));
      print(`${screen ? '\x1b[H\x1b[2J' : ''}${formatRows(options.format ?? TABLE, rows, TITLES)}`);
      if (options.noStream) return 0;
    }
    for (const { one, stats } of taken) if (stats !== undefined) before.set(one.record.id, stats);
    await sleep(EVERY_MS);
  }
});

async function figures({ record, state }: Container, folder: StateFolder): Promise<Stats | undefined> {
  return state === 'running' || state === 'paused' ? (await askOwner(folder.socket(record.id), { ask: 'stats' }).catch(() => undefined))?.stats : undefined;
}

function rowOf({ record }: Container, stats: Stats | undefined, before: Stats | undefined, whole: boolean): Record<string, unknown> {
  const { memory = 0, memoryLimit = 0, pids = 0, blockRead = 0, blockWritten = 0, netReceived = 0, netSent = 0 } = stats ?? {};
  const ms = stats === undefined || before === undefined ? 0 : stats.at - before.at;
  const cpu = ms <= 0 ? 0 : Math.max(0, ((stats?.cpuUs ?? 0) - (before?.cpuUs ?? 0)) / 10 / ms);
  return {
    ID: whole ? record.id : record.id.slice(0, SHORT),
    Container: record.id.slice(0, SHORT),
    Name: record.name,
    CPUPerc: `${cpu.toFixed(2)}%`,
    MemUsage: `${bytesText(memory, 1024)} / ${bytesText(memoryLimit, 1024)}`,
    MemPerc: `${(memoryLimit === 0 ? 0 : (100 * memory) / memoryLimit).toFixed(2)}%`,
    NetIO: `${bytesText(netReceived, 1000)} / ${bytesText(netSent, 1000)}`,
    BlockIO: `${bytesText(blockRead, 1000)} / ${bytesText(blockWritten, 1000)}`,
    PIDs: pids,
  };
}

/** Four digits and a unit, as Docker has them: 12.5MiB, 1.5kB. */
function bytesText(bytes: number, step: 1000 | 1024): string {
  const units = step === 1024 ? ['B', 'KiB', 'MiB', 'GiB', 'TiB'] : ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= step && unit < units.length - 1; unit++) value /= step;
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
