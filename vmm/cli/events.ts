/** `vmm events`: what happens to containers, in Docker's words. */
import { watch } from 'node:fs';
import { type ContainerEvent, EventReader, StateFolder } from '../api/owner.ts';
import { VmmError } from '../api/errors.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { hasLabel } from './label-filter.ts';
import { moment } from './moment.ts';
import { list, value } from './options.ts';
import { print } from './output.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';
import { formatRows } from './template.ts';
import { listed } from './listed.ts';

/** How often containers whose process was killed are looked for, ms; what is appended is seen at once. */
const LOOK_MS = 1000;
const KEYS = ['container', 'event', 'image', 'label', 'type'];

const OPTIONS = {
  root: ROOT,
  filter: list('KEY=VALUE', 'choose: container, event, image, label, type', eventFilter, { short: 'f' }),
  format: value('TEMPLATE', 'a Go template of .Type .Action .ID .Actor.Attributes .Time, or json'),
  since: value('TIME', 'what has happened since then, too: a time, Unix seconds, or 10m for ten minutes ago', moment),
  until: value('TIME', 'end then', moment),
  help: HELP,
};

export const EVENTS_COMMAND: Subcommand = subcommand({ name: 'events', synopsis: '[OPTIONS]', about: 'Prints what happens to containers, as it happens.', options: OPTIONS }, [0, 0, 'no argument'], async (_, { root, filter, format, since, until }) => {
  const state = new StateFolder(root);
  state.make();
  const from = since ?? Date.now();
  const show = (event: ContainerEvent): void => {
    if (event.time < from || (until !== undefined && event.time > until) || !chosen(event, filter)) return;
    print(format === undefined ? textOf(event) : formatRows(format, [rowOf(event)]));
  };
  const reader = new EventReader(state.events);
  try {
    await follow(reader, state, show, until);
  } finally {
    reader.close();
  }
  return 0;
});

/** Until the time is over. */
async function follow(reader: EventReader, state: StateFolder, show: (event: ContainerEvent) => void, until = Number.POSITIVE_INFINITY): Promise<void> {
  const last = new Map<string, string>();
  const news = new News(state.events);
  try {
    for (;;) {
      for (const event of reader.next()) {
        if (/^(start|die|destroy)$/.test(event.action)) last.set(event.id, event.action);
        show(event);
      }
      // Of one whose process was killed nobody has told.
      for (const { record, state: now, end } of await listed(state)) {
        if (now !== 'dead' || last.get(record.id) !== 'start') continue;
        last.set(record.id, 'die');
        state.tell(record, 'die', { exitCode: `${end?.status ?? 137}` });
      }
      const left = until - Date.now();
      if (left <= 0) return;
      await news.wait(Math.min(left, LOOK_MS));
    }
  } finally {
    news.close();
  }
}

/** Whether something was appended to a file. */
class News {
  readonly #watcher: ReturnType<typeof watch>;
  #wake = (): void => {};
  #come = false;

  constructor(path: string) {
    this.#watcher = watch(path, () => {
      this.#come = true;
      this.#wake();
    });
    // What is appended is seen at the next look then.
    this.#watcher.on('error', () => {});
  }

  async wait(ms: number): Promise<void> {
    if (!this.#come) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, ms);
      await promise;
      clearTimeout(timer);
    }
    this.#come = false;
  }

  close(): void {
    this.#watcher.close();
  }
}

function eventFilter(text: string, option: string): readonly [string, string] {
  const [key = ''] = text.split('=', 1);
  if (!KEYS.includes(key) || !text.includes('=')) throw new VmmError('USAGE', `${option}: ${text} is not understood`, { hint: 'container=…, event=…, image=…, label=KEY[=VALUE], type=container' });
  return [key, text.slice(key.length + 1)];
}

/** As with Docker several of one key choose what any of them does. */
function chosen(event: ContainerEvent, filter: readonly (readonly [string, string])[]): boolean {
  return KEYS.every((key) => {
    const texts = filter.filter(([name]) => name === key).map(([, text]) => text);
    return texts.length === 0 || texts.some((text) => matches(event, key, text));
  });
}

function matches({ id, action, attributes }: ContainerEvent, key: string, text: string): boolean {
  switch (key) {
    case 'container':
      return attributes['name'] === text || id.startsWith(text);
    case 'event':
      return action === text || action.startsWith(`${text}:`);
    case 'image':
      return attributes['image'] === text || attributes['image']?.split(':')[0] === text;
    case 'label':
      return hasLabel(attributes, text);
    default:
      return text === 'container';
  }
}

function rowOf({ time, action, id, attributes }: ContainerEvent): Record<string, unknown> {
  return { status: action, id, from: attributes['image'] ?? '', Type: 'container', Action: action, Actor: { ID: id, Attributes: attributes }, scope: 'local', time: Math.floor(time / 1000), timeNano: time * 1e6, Status: action, ID: id, From: attributes['image'] ?? '', Time: Math.floor(time / 1000), TimeNano: time * 1e6 };
}

function textOf({ time, action, id, attributes }: ContainerEvent): string {
  const words = Object.keys(attributes).sort().map((key) => `${key}=${attributes[key]}`).join(', ');
  return `${new Date(time).toISOString().replace('Z', '000000Z')} container ${oneLine(`${action} ${id} (${words})`)}\n`;
}
