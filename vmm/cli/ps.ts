/** `vmm ps`: Docker's columns and words. */
import { type Container, runs, StateFolder } from '../api/owner.ts';
import { VmmError } from '../api/errors.ts';
import { HELP } from './common-options.ts';
import { sizesOf } from './container-size.ts';
import { sinceText } from './duration-text.ts';
import { hasLabel } from './label-filter.ts';
import { flag, list, value } from './options.ts';
import { print } from './output.ts';
import { portsOf, portText } from './port.ts';
import { size } from './size-text.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';
import { listed } from './listed.ts';

const SHORT = 12;
const COMMAND = 20;
const TABLE = 'table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}';

function psFilter(text: string, option: string): readonly [string, string] {
  const [key = ''] = text.split('=', 1);
  if (!['name', 'id', 'status', 'label', 'exited', 'ancestor', 'health', 'before', 'since', 'volume'].includes(key) || !text.includes('=')) throw new VmmError('USAGE', `${option}: ${text} is not understood`, { hint: 'name=…, id=…, status=…, exited=STATUS, ancestor=IMAGE, label=KEY[=VALUE], health=STATUS, before=CONTAINER, since=CONTAINER, volume=NAME|PATH' });
  return [key, text.slice(key.length + 1)];
}

function sizeText(one: Container, state: StateFolder): string {
  const { SizeRw, SizeRootFs } = sizesOf(one, state);
  return `${size(SizeRw)} (virtual ${size(SizeRootFs)})`;
}

function count(text: string, option: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new VmmError('USAGE', `${option}: ${text} is no number`, { hint: 'for example 5' });
  return Number(text);
}

const OPTIONS = {
  root: ROOT,
  all: flag('those that have ended, too', { short: 'a' }),
  filter: list('KEY=VALUE', 'choose: name, id, status, exited, ancestor, label, health, before, since, volume', psFilter, { short: 'f' }),
  format: value('TEMPLATE', 'a Go template of .ID .Image .Command .CreatedAt .RunningFor .Ports .State .Status .Names .Labels .Size, or json'),
  last: value('N', 'the last that were made, whatever they do', count, { short: 'n' }),
  latest: flag('the last one', { short: 'l' }),
  noTrunc: flag('whole ids and commands'),
  quiet: flag('ids only', { short: 'q' }),
  size: flag('what the disk of its changes takes, and with the image’s', { short: 's' }),
  help: HELP,
};

export const PS_COMMAND: Subcommand = subcommand({ name: 'ps', synopsis: '[OPTIONS]', about: 'Lists containers.', options: OPTIONS }, [0, 0, 'no argument'], async (_, options) => {
  const last = options.latest ? 1 : options.last;
  const all = options.all || last !== undefined || options.filter.some(([key]) => key === 'status' || key === 'exited');
  const state = new StateFolder(options.root);
  const filter = await Promise.all(options.filter.map(async ([key, text]) => [key, key === 'before' || key === 'since' ? (await state.find(text)).record.created : text] as const));
  const wanted = (one: Container): boolean => (all || runs(one)) && groups(filter).every(([key, texts]) => texts.some((text) => matches(one, key, text)));
  const now = Date.now();
  const rows = (await listed(state)).filter(wanted).slice(0, last).map((one) => rowOf(one, now, options.noTrunc, options.size || options.format?.includes('.Size') === true ? sizeText(one, state) : ''));
  if (options.quiet) print(rows.map(({ ID }) => `${ID}\n`).join(''));
  else print(formatRows(options.format ?? (options.size ? `${TABLE}\\t{{.Size}}` : TABLE), rows, { ID: 'CONTAINER ID', CreatedAt: 'CREATED AT', RunningFor: 'CREATED' }));
  return 0;
});

/** As with Docker several of one key choose what any of them does, but labels, of which each has to be there. */
function groups(filter: readonly (readonly [string, string])[]): [string, string[]][] {
  const found: [string, string[]][] = [];
  for (const [key, text] of filter) {
    const group = key === 'label' ? undefined : found.find(([name]) => name === key);
    if (group === undefined) found.push([key, [text]]);
    else group[1].push(text);
  }
  return found;
}

function matches({ record, state, life, end }: Container, key: string, text: string): boolean {
  switch (key) {
    case 'name':
      return record.name.includes(text);
    case 'id':
      return record.id.startsWith(text);
    case 'status':
      return state === text;
    case 'exited':
      return end !== undefined && `${end.status}` === text;
    case 'before':
      return record.created < text;
    case 'since':
      return record.created > text;
    case 'volume':
      return record.mounts?.some(({ target, name, source }) => [target, name, source].includes(text)) === true;
    case 'health':
      return (life?.health?.status ?? 'none') === text;
    case 'ancestor':
      return record.image === text || record.image === `${text}:latest` || record.imageId === text;
    default:
      return hasLabel(record.labels, text);
  }
}

function statusText({ state, life, end }: Container, now: number): string {
  const trouble = life?.trouble === undefined ? '' : life.trouble.includes('ENOSPC') ? ' (disk full)' : ' (see inspect)';
  const up = `Up ${sinceText(life?.started, now)}${trouble}${life?.health === undefined ? '' : ` (${life.health.status === 'starting' ? 'health: starting' : life.health.status})`}`;
  switch (state) {
    case 'created':
      return 'Created';
    case 'running':
      return up;
    case 'paused':
      return `${up} (Paused)`;
    case 'restarting':
      return `Restarting (${life?.end?.status}) ${sinceText(life?.end?.finished, now)} ago`;
    case 'exited':
      return `Exited (${end?.status}) ${sinceText(end?.finished, now)} ago`;
    case 'dead':
      return 'Dead';
  }
}

function rowOf(one: Container, now: number, whole: boolean, Size: string): Record<string, unknown> {
  const { record, state } = one;
  const command = (record.args ?? record.command).join(' ');
  return {
    ID: whole ? record.id : record.id.slice(0, SHORT),
    Image: record.image,
    Command: JSON.stringify(whole || command.length <= COMMAND ? command : `${command.slice(0, COMMAND - 1)}…`),
    CreatedAt: record.created,
    RunningFor: `${sinceText(record.created, now)} ago`,
    Ports: runs(one) ? portsOf(one).map(portText).join(', ') : '',
    State: state,
    Status: statusText(one, now),
    Names: record.name,
    Labels: record.labels,
    Size,
  };
}
