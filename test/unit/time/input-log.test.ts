import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { InputRecorder, InputReplay, parseRecord, sizeData, sizeOf } from '../../../vmm/time/input-log.ts';
import { CountedSession } from '../../../vmm/cli/counted.ts';
import { CountedRun } from '../../../vmm/time/counted.ts';
import { SeededStream } from '../../../vmm/time/seeded.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-record-'));
afterAll(() => rmSync(folder, { recursive: true }));

const HEAD = 'vmm-record 1\nconfig {"memory":128}\n';
const END = { count: 90n, ns: 95n, repetitions: 7n, hash: 0xabcdn };

describe('a record that is read', () => {
  it.each<[string, string, RegExp]>([
    ['an empty file', '', /line 1: not a record/],
    ['a file of another kind', '\x7fELF\n', /line 1: not a record/],
    ['a later version', 'vmm-record 2\nconfig {}\n', /line 1: version 2, this vmm reads version 1/],
    ['no configuration', 'vmm-record 1\n', /line 2: no configuration/],
    ['a configuration that is not JSON', 'vmm-record 1\nconfig {\n', /line 2: .*not JSON/],
    ['a configuration that is a list', 'vmm-record 1\nconfig [1]\n', /line 2: .*no object/],
    ['a configuration of objects', 'vmm-record 1\nconfig {"a":{}}\n', /line 2: .*no plain "a"/],
    ['a huge configuration', `vmm-record 1\nconfig ${' '.repeat(1 << 17)}{}\n`, /line 2: no configuration/],
    ['a cut last line', `${HEAD}input 1 1 console aGk=`, /line 3: .*cut off/],
    ['an unknown line', `${HEAD}output 1 1 console aGk=\n`, /line 3: neither input nor end/],
    ['a missing field', `${HEAD}input 1 1 console\n`, /line 3: neither/],
    ['an unknown kind', `${HEAD}input 1 1 mouse aGk=\n`, /line 3: "mouse" is no kind/],
    ['a negative count', `${HEAD}input -1 1 console aGk=\n`, /line 3: "-1" is not a count/],
    ['a count beyond 63 bits', `${HEAD}input 9999999999999999999 1 console aGk=\n`, /line 3: .*not a count/],
    ['a count that is no number', `${HEAD}input 0x10 1 console aGk=\n`, /line 3: .*not a count/],
    ['events out of order', `${HEAD}input 5 5 console aGk=\ninput 4 6 console aGk=\n`, /line 4: lies before/],
    ['time that runs backward', `${HEAD}input 5 5 console aGk=\ninput 6 4 console aGk=\n`, /line 4: lies before/],
    ['data that is not base64', `${HEAD}input 1 1 console a*k=\n`, /line 3: its data is not base64/],
    ['base64 with bits left over', `${HEAD}input 1 1 console aGl=\n`, /line 3: its data is not base64/],
    ['more data than an event has', `${HEAD}input 1 1 console ${'A'.repeat(4 << 20)}\n`, /line 3: its data is too long/],
    ['a size of three bytes', `${HEAD}input 1 1 resize AAAA\n`, /line 3: 3 bytes/],
    ['signal 0', `${HEAD}input 1 1 signal AA==\n`, /line 3: signal 0/],
    ['signal 65', `${HEAD}input 1 1 signal QQ==\n`, /line 3: signal 65/],
    ['an end without a hash', `${HEAD}end 1 1 1 xyz\n`, /line 3: neither/],
    ['a cut with more fields', `${HEAD}cut 1 1 1\n`, /line 3: neither/],
    ['something behind a cut', `${HEAD}cut 1 1\ninput 2 2 console aGk=\n`, /line 4: something follows/],
    ['something behind the end', `${HEAD}end 1 1 1 ff\ninput 2 2 console aGk=\n`, /line 4: something follows/],
  ])('%s is refused with its line', (_name, text, says) => {
    expect(() => parseRecord(text, 'file')).toThrow(expect.objectContaining({ code: 'REPLAY_BAD', message: expect.stringMatching(says) }));
  });

  it('random bytes behind the head are refused, never anything but REPLAY_BAD', () => {
    const stream = new SeededStream(7n, 'test');
    for (let i = 0; i < 2000; i++) {
      const text = HEAD + stream.bytes(1 + (i % 60)).toString('latin1');
      try {
        parseRecord(text, 'file');
        expect(text.slice(HEAD.length)).toBe('');
      } catch (error) {
        expect(error).toMatchObject({ code: 'REPLAY_BAD' });
      }
    }
  });
});

describe('what was recorded', () => {
  it('comes back at the same places, once, and the end is compared', async () => {
    const path = join(folder, 'record');
    const recorder = new InputRecorder(path, { memory: 128, name: 'ä' });
    const results = [recorder.submit('console', Buffer.from('hi')), recorder.submit('stdin-end', new Uint8Array(0))];
    expect(recorder.take({ count: 5n, ns: 6n }, false)).toEqual([]);
    for (const event of recorder.take({ count: 10n, ns: 12n }, true)) event.given(event.kind);
    expect(await Promise.all(results)).toEqual(['console', 'stdin-end']);
    void recorder.submit('signal', Uint8Array.of(15));
    expect(recorder.take({ count: 10n, ns: 13n }, true)).toHaveLength(1);
    recorder.finish(END, true);
    expect(readFileSync(path, 'utf8')).toBe('vmm-record 1\nconfig {"memory":128,"name":"ä"}\ninput 10 12 console aGk=\ninput 10 12 stdin-end \ninput 10 13 signal Dw==\nend 90 95 7 abcd\n');

    const replay = new InputReplay(path);
    replay.compare({ name: 'ä', memory: 128 });
    expect(() => replay.compare({ name: 'ä', memory: 256 })).toThrow(expect.objectContaining({ code: 'REPLAY_OTHER', message: expect.stringMatching(/another memory: 128, now 256/) }));
    expect(() => replay.compare({ memory: 128 })).toThrow(/another name: "ä", now nothing/);
    expect(replay.next).toMatchObject({ count: 10n, ns: 12n });
    expect(replay.take({ count: 9n, ns: 11n })).toEqual([]);
    expect(replay.take({ count: 10n, ns: 12n }).map(({ kind, data }) => [kind, Buffer.from(data).toString()])).toEqual([['console', 'hi'], ['stdin-end', '']]);
    expect(() => replay.finish(END)).toThrow(expect.objectContaining({ code: 'REPLAY_DIVERGED' }));
    expect(replay.take({ count: 10n, ns: 13n })).toHaveLength(1);
    expect(replay.next).toBeUndefined();
    replay.finish(END);
    expect(() => replay.finish({ ...END, hash: 1n })).toThrow(expect.objectContaining({ code: 'REPLAY_DIVERGED' }));
  });

  it('more than an event holds becomes several', async () => {
    const path = join(folder, 'long');
    const recorder = new InputRecorder(path, {});
    const done = recorder.submit('stdin', new Uint8Array((1 << 20) + 5));
    for (const count of [1n, 2n]) {
      for (const event of recorder.take({ count, ns: count }, true)) event.given(true);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await done).toBe(true);
    recorder.finish(undefined, false);
    const replay = new InputReplay(path);
    expect([...replay.take({ count: 1n, ns: 1n }), ...replay.take({ count: 2n, ns: 2n })].map(({ data }) => data.length)).toEqual([1 << 20, 5]);
  });

  it('a run at another place is told to have diverged', () => {
    const path = join(folder, 'diverged');
    const recorder = new InputRecorder(path, {});
    void recorder.submit('console', Buffer.from('x'));
    recorder.take({ count: 10n, ns: 12n }, true);
    recorder.finish(END, false);
    const missed = { code: 'REPLAY_DIVERGED', message: expect.stringMatching(/at instruction 11 it differs .*input of instruction 10/) };
    expect(() => new InputReplay(path).take({ count: 11n, ns: 12n })).toThrow(expect.objectContaining(missed));
    expect(() => new InputReplay(path).take({ count: 11n, ns: 13n })).toThrow(expect.objectContaining(missed));
  });

  it('a run that was broken off says where; one whose vmm was killed says nothing', () => {
    const path = join(folder, 'broken-off');
    new InputRecorder(path, {}).finish(END, false);
    expect(readFileSync(path, 'utf8')).toMatch(/\ncut 90 95\n$/);
    expect(new InputReplay(path)).toMatchObject({ whole: true, cut: { count: 90n, ns: 95n } });
    new InputRecorder(path, {}).finish(undefined, false);
    expect(new InputReplay(path)).toMatchObject({ whole: false, cut: undefined });
  });

  it('after a write that failed nothing follows, and an end that cannot be written hides no other error', async () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const open = async (): Promise<CountedSession> => {
      const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
      const session = new CountedSession({ shift: 0, seed: 0n, rtc: 0, stopAt: undefined, record: fifo, replay: undefined });
      await session.config(async () => ({}), () => {});
      closeSync(reader);
      return session;
    };
    const run = new CountedRun({ shift: 0, seed: 0n, rtc: 0 });
    const failure = expect.objectContaining({ code: 'RECORD_WRITE', message: expect.stringMatching(/EPIPE/) });
    const written = await open();
    void written.input()?.('console', Buffer.from('x'));
    expect(() => written.recorder?.take(END, true)).toThrow(failure);
    expect(() => written.finish(run, false)).not.toThrow();
    expect(await open().then((session) => session.finish(run, false)).catch((error: unknown) => error)).toEqual(failure);
    expect((await open()).abandon(run)).toBeUndefined();
  });

  it('a run that goes on behind the recorded end has diverged', () => {
    const path = join(folder, 'behind');
    new InputRecorder(path, {}).finish(END, true);
    const replay = new InputReplay(path);
    expect(replay.take({ count: END.count, ns: END.ns })).toEqual([]);
    expect(() => replay.take({ count: END.count + 1n, ns: END.ns + 1n })).toThrow(expect.objectContaining({ code: 'REPLAY_DIVERGED' }));
  });

  it('a digest that differs is not printed', () => {
    const path = join(folder, 'digest');
    new InputRecorder(path, { kernel: 'a'.repeat(64) }).finish(END, true);
    expect(() => new InputReplay(path).compare({ kernel: 'b'.repeat(64) })).toThrow(/recorded with another kernel$/);
  });

  it('a terminal’s size survives its bytes', () => {
    expect(sizeOf(sizeData(132, 50))).toEqual({ columns: 132, rows: 50 });
    expect(sizeOf(sizeData(1e9, 1))).toEqual({ columns: 65535, rows: 1 });
  });
});

describe('SeededStream', () => {
  it('gives the same bytes for the same seed and name, in pieces or at once, and others for others', () => {
    const whole = new SeededStream(1n, 'a').bytes(64);
    const stream = new SeededStream(1n, 'a');
    expect(Buffer.concat([stream.bytes(1), stream.bytes(30), stream.bytes(33)])).toEqual(whole);
    expect(new SeededStream(2n, 'a').bytes(64)).not.toEqual(whole);
    expect(new SeededStream(1n, 'b').bytes(64)).not.toEqual(whole);
    expect(new Set(whole).size).toBeGreaterThan(40);
  });
});
