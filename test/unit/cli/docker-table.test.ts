/** docs/docker-options.md against Docker's own help and against vmm's tables: no row is missing, none is wrong. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RUN } from '../../../vmm/cli/run-options.ts';
import { dockerOption } from '../../../vmm/cli/docker-options.ts';
import { longName } from '../../../vmm/cli/options.ts';
import { ROOT, vmm } from '../../support/cli/cli.ts';
import { DOCKER } from '../../support/cli/docker-client.ts';
import { DOCKER_COMMANDS, DOCKER_RUN_OPTIONS } from '../../support/cli/docker-20.10.ts';

interface Row {
  readonly name: string;
  readonly state: string;
  readonly note: string;
}

const text = readFileSync(join(ROOT, 'docs/docker-options.md'), 'utf8');
/** The rows of all tables between two headings. */
function rowsOf(heading: string): Row[] {
  const part = text.split(/^## /m).find((each) => each.startsWith(heading)) ?? '';
  return [...part.matchAll(/^\| `(?:--)?([a-z0-9-]+)` \| (.*?) \| (.*?) ?\|$/gm)].map(([, name = '', state = '', note = '']) => ({ name, state, note }));
}
const options = rowsOf('Options');
const commands = rowsOf('Commands');

/** Of the client that is here, if it is that version; its help needs no daemon. */
function helpOf(...words: string[]): string | undefined {
  return DOCKER === undefined ? undefined : spawnSync(DOCKER, [...words, '--help'], { encoding: 'utf8', timeout: 60_000 }).stdout;
}

describe('options of docker run', () => {
  it('the stored list is what Docker’s help says', ({ skip }) => {
    const help = helpOf('run') ?? skip();
    expect([...(help as string).matchAll(/^\s+(?:-\w, )?\s*--([a-z0-9-]+)/gm)].map(([, name]) => name)).toEqual(DOCKER_RUN_OPTIONS);
  });

  it('each has one row, which says what it is', () => {
    const names = options.map(({ name }) => name);
    expect(DOCKER_RUN_OPTIONS.filter((name) => names.filter((each) => each === name).length !== 1)).toEqual([]);
    for (const { name, state, note } of options) {
      expect(['works', 'no effect', 'refused'], name).toContain(state);
      if (state !== 'works') expect(note, name).not.toBe('');
    }
  });

  it('what works or has no effect is an option of vmm run, which says so; what is refused is none, with a reason', () => {
    const known = new Map(Object.entries(RUN.options).flatMap(([key, option]) => [longName(key), ...(option.alias ?? [])].map((name) => [name, option] as const)));
    for (const { name, state } of options) {
      if (state === 'refused') {
        expect(known.has(name), name).toBe(false);
        expect(dockerOption(name), name).toBeDefined();
      } else {
        const idle = known.get(name)?.group?.startsWith('Accepted for Docker’s sake') === true && name !== 'volume-driver' && name !== 'isolation';
        expect({ name, known: known.has(name), idle }).toEqual({ name, known: true, idle: state === 'no effect' });
      }
    }
  });

  it('at least 75 of the 96 work', () => {
    expect(DOCKER_RUN_OPTIONS).toHaveLength(96);
    const working = options.filter(({ name, state }) => state === 'works' && DOCKER_RUN_OPTIONS.includes(name));
    expect(working.length).toBeGreaterThanOrEqual(75);
  });
});

describe('commands of docker', () => {
  it('the stored list is what Docker’s help says', ({ skip }) => {
    const help = helpOf() ?? skip();
    expect([...(help as string).slice((help as string).indexOf('Management Commands')).matchAll(/^ {2}([a-z]+)\*?\s/gm)].map(([, name]) => name)).toEqual(DOCKER_COMMANDS);
  });

  it('each has one row; at least 30 work, and those are commands of vmm, that answer', async () => {
    expect(commands.map(({ name }) => name).sort()).toEqual([...DOCKER_COMMANDS].sort());
    const working = commands.filter(({ state }) => state === 'works');
    expect(working.length).toBeGreaterThanOrEqual(30);
    for (const { name, state, note } of commands) if (state !== 'works') expect({ name, state, note: note !== '' }).toEqual({ name, state: 'refused', note: true });
    // Without arguments each says what it wants, or does it; none is unknown.
    for (const { name, state } of commands.filter(({ name }) => !['events', 'login', 'logout'].includes(name))) {
      const { stderr } = await vmm([name, ...(name === 'ps' || name === 'stats' ? ['--help'] : [])]);
      expect({ name, unknown: /unknown command/.test(stderr) && !/unknown command container/.test(stderr) }).toEqual({ name, unknown: state === 'refused' });
      // What is refused is so with the reason, not with a list of what there is.
      if (state === 'refused') expect(stderr, name).not.toContain('commands: run');
    }
  }, 600_000);
});
