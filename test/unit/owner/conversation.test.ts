import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askOf } from '../../../vmm/owner/asks.ts';
import { Attached } from '../../../vmm/owner/attached.ts';
import type { Channel } from '../../../vmm/owner/channel.ts';
import { talkToOwner } from '../../../vmm/owner/client.ts';
import { CLOSE, DETACH, EXIT, FAILED, frame, KILL, number32, SIGNAL, STDIN, STDOUT, TAKEN } from '../../../vmm/owner/frames.ts';
import { type ExecAsk, INPUT_WINDOW, MAX_LINE, PROTOCOL_VERSION } from '../../../vmm/owner/protocol.ts';
import { type OwnerServer, serve } from '../../../vmm/owner/server.ts';
import { type Talker, talk } from '../../../vmm/owner/talk.ts';

const EXEC: ExecAsk = { ask: 'exec', args: ['a'], env: [], privileged: false, stdin: true, tty: false, detach: false };
const ATTACH = { ask: 'attach', stdin: true } as const;

/** A process that takes no input until it is told to. */
class Played implements Talker {
  readonly said: string[] = [];
  readonly #going = Promise.withResolvers<void>();
  readonly go = this.#going.resolve;
  readonly #ended = Promise.withResolvers<{ status: number }>();
  readonly end = (status: number): void => this.#ended.resolve({ status });
  readonly stdin = {
    write: async (bytes: Uint8Array): Promise<boolean> => {
      await this.#going.promise;
      this.said.push(`input ${bytes.length}`);
      return true;
    },
    end: async (): Promise<void> => void this.said.push('input ends'),
  };
  onStdout(): void {}
  onStderr(): void {}
  closeStdout = (): void => void this.said.push('stdout closed');
  closeStderr = (): void => void this.said.push('stderr closed');
  resize = async (): Promise<void> => {};
  signal = async (signal: number): Promise<void> => void this.said.push(`signal ${signal}`);
  kill = async (): Promise<void> => void this.said.push('killed');
  wait = (): Promise<{ status: number }> => this.#ended.promise;
  async until(text: string): Promise<void> {
    while (!this.said.includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let folder: string;
let server: OwnerServer;
let played: Played;
let attached: Attached;
let settings = { tty: false, stdin: true, once: false };
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-owner-'));
  played = new Played();
  attached = new Attached(200);
  settings = { tty: false, stdin: true, once: false };
  server = await serve(join(folder, 'sock'), async (ask) => ({
    done: true,
    go: (channel: Channel) => (ask.ask === 'attach' ? attached.add(channel, played, ask, settings) : talk(channel, played, settings)),
  }));
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const channelOf = async (ask: ExecAsk | typeof ATTACH): Promise<Channel> => (await talkToOwner(join(folder, 'sock'), ask))?.channel as Channel;
const closed = (channel: Channel): Promise<void> => new Promise((resolve) => {
  channel.onClose(resolve);
  channel.onFrame(() => {});
});
/** The next frame of a kind. */
const next = (channel: Channel, kind: number): Promise<Buffer> => new Promise((resolve) => channel.onFrame((got) => {
  if (got.kind === kind) resolve(got.payload);
}));

describe('a command’s client', () => {
  it('a signal passes input that is not read; what is taken is told; the status is the last', async () => {
    const channel = await channelOf(EXEC);
    void channel.send(STDIN, Buffer.alloc(1000));
    void channel.send(STDIN);
    void channel.send(SIGNAL, number32(10));
    await played.until('signal 10');
    expect(played.said).toEqual(['signal 10']);
    const taken = next(channel, TAKEN);
    played.go();
    expect((await taken).readUInt32LE(0)).toBe(1000);
    await played.until('input ends');
    const exit = next(channel, EXIT);
    played.end(300 & 0xff);
    expect((await exit).readUInt32LE(0)).toBe(44);
  });

  it('gives a stream up, and kills all that its command has started; who is attached to a container cannot', async () => {
    const channel = await channelOf(EXEC);
    void channel.send(CLOSE, number32(STDOUT));
    void channel.send(KILL);
    await played.until('killed');
    expect(played.said).toEqual(['stdout closed', 'killed']);
    for (const kind of [CLOSE, KILL]) {
      const other = await channelOf(ATTACH);
      void other.send(kind, number32(STDOUT));
      await closed(other);
    }
    expect(played.said).toEqual(['stdout closed', 'killed']);
  });

  it('more input than the window is refused', async () => {
    const channel = await channelOf(EXEC);
    for (let sent = 0; sent <= INPUT_WINDOW; sent += 65_536) void channel.send(STDIN, Buffer.alloc(65_536));
    await closed(channel);
    expect(played.said.filter((line) => /^input \d/.test(line))).toEqual([]);
  });

  it.each([['an unknown kind', frame(99)], ['a short signal', frame(SIGNAL, Buffer.alloc(1))], ['no such signal', frame(SIGNAL, number32(65))], ['an endless frame', Buffer.from([255, 255, 255, 255, 1])], ['an empty one', Buffer.alloc(5)]])('%s ends the conversation', async (_, bytes) => {
    const socket = connect({ path: join(folder, 'sock') });
    socket.on('error', () => {});
    socket.write(`${JSON.stringify({ version: PROTOCOL_VERSION, ...EXEC })}\n`);
    socket.write(bytes);
    socket.resume();
    await new Promise((resolve) => socket.on('close', resolve));
    await played.until('stdout closed');
  });

  it('one that is gone before the answer is as one that leaves', async () => {
    const socket = connect({ path: join(folder, 'sock') });
    await new Promise<void>((resolve) => socket.write(`${JSON.stringify({ version: PROTOCOL_VERSION, ...EXEC })}\n`, () => resolve()));
    socket.destroy();
    await played.until('stderr closed');
  });

  it('one that leaves takes the streams with it, and hangs a terminal up; one that detaches does not', async () => {
    const left = await channelOf(EXEC);
    left.destroy();
    await played.until('stderr closed');
    expect(played.said).toEqual(['input ends', 'stdout closed', 'stderr closed']);
    played.said.length = 0;
    settings = { ...settings, tty: true };
    (await channelOf(EXEC)).destroy();
    await played.until('stderr closed');
    expect(played.said).toEqual(['signal 1', 'stdout closed', 'stderr closed']);
    played.said.length = 0;
    const detached = await channelOf(EXEC);
    await detached.send(DETACH);
    detached.end(SIGNAL, number32(12));
    await played.until('signal 12');
    await closed(detached);
    expect(played.said).toEqual(['signal 12']);
  });
});

describe('clients that are attached', () => {
  it('one that takes nothing is left behind after a while, with all until then and the reason; the other has everything', async () => {
    const [slow, quick] = [await channelOf(ATTACH), await channelOf(ATTACH)];
    let got = 0;
    quick.onFrame(({ kind, payload }) => {
      if (kind === STDOUT) got += payload.length;
    });
    let held = 0;
    for (let i = 0; i < 40; i++) {
      const taken = attached.output('stdout', Buffer.alloc(65_536, i));
      if (taken !== undefined) {
        held += 1;
        await taken;
      }
    }
    expect(held).toBeGreaterThan(0);
    const last = { bytes: 0, reason: '' };
    await new Promise<void>((resolve) => slow.onFrame(({ kind, payload }) => {
      if (kind === STDOUT) last.bytes += payload.length;
      if (kind === FAILED) {
        last.reason = payload.toString();
        resolve();
      }
    }));
    expect(last.reason).toMatch(/no output was taken for 0.2 s/);
    expect(last.bytes % 65_536).toBe(0);
    expect(last.bytes).toBeGreaterThan(0);
    while (got < 40 * 65_536) await new Promise((resolve) => setTimeout(resolve, 5));
    const exit = next(quick, EXIT);
    attached.ended(3);
    expect((await exit).readUInt32LE(0)).toBe(3);
  });

  it('the end of one’s input is the container’s where it was started so, and only then', async () => {
    settings = { ...settings, once: true };
    const one = await channelOf(ATTACH);
    void one.send(STDIN);
    await played.until('input ends');
    settings = { ...settings, once: false };
    const two = await channelOf(ATTACH);
    void two.send(STDIN);
    void two.send(SIGNAL, number32(10));
    await played.until('signal 10');
    two.destroy();
    await closed(two);
    expect(played.said).toEqual(['input ends', 'signal 10']);
  });
});

const DISK = { kind: 'disk', source: '/d', target: '/data', readOnly: false, format: 'ext4' };

describe('requests', () => {
  it('a device is known by its kind', () => {
    const ask = { ask: 'plug', token: 'ab'.repeat(16), device: DISK };
    expect(askOf(ask)).toBe(ask);
  });

  it.each<[string, unknown]>([['no object', 1], ['null', null], ['another', { ask: 'format' }], ['a method of Object', { ask: 'toString' }], ['a signal that is none', { ask: 'signal', signal: 65 }], ['a NUL', { ...EXEC, args: ['a\0b'] }], ['no text', { ...EXEC, env: [1] }], ['a size', { ...EXEC, size: { rows: -1, columns: 1 } }], ['time', { ask: 'stop', seconds: Number.NaN }], ['a device of no kind', { ask: 'plug', token: '0'.repeat(32), device: { kind: 'toString' } }], ['no token', { ask: 'plug', token: '../x', device: DISK }], ['a format', { ask: 'plug', token: '0'.repeat(32), device: { ...DISK, format: 'xfs' } }]])('%s is none', (_, value) => {
    expect(askOf(value)).toBeUndefined();
  });

  it('a line without end is read no further', async () => {
    const socket = connect({ path: join(folder, 'sock') });
    socket.on('error', () => {});
    const answer = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(bytes.toString())));
    socket.write('x'.repeat(MAX_LINE + 1));
    expect(await answer).toContain('OWNER_REFUSED');
    socket.destroy();
  });
});
