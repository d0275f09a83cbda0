/** Guests that were taken over: what they send, hold back or keep alive does not get further than an error or an end that is told. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import type { Box, BoxProcess, ProcessEnd } from '../../../vmm/sandbox/box.ts';
import { collect } from '../../../vmm/sandbox/collect.ts';
import { Files } from '../../../vmm/sandbox/files.ts';
import { ownCommand } from '../../../vmm/sandbox/own-command.ts';
import { started } from '../../../vmm/sandbox/start.ts';

/** Says what it is told to say, and ends when it likes. */
class Played implements BoxProcess {
  readonly stdin = { write: async (): Promise<boolean> => true, end: async (): Promise<void> => {} };
  readonly #end = Promise.withResolvers<ProcessEnd>();
  readonly killed: string[] = [];
  readonly #output: readonly [stdout: Buffer, stderr: Buffer];
  readonly #times: number;

  constructor(stdout: Buffer, { stderr = Buffer.alloc(0), times = 1, end, dies = false }: { stderr?: Buffer; times?: number; end?: number; dies?: boolean } = {}) {
    this.#output = [stdout, stderr];
    this.#times = times;
    this.#status = end;
    this.#dies = dies;
  }

  readonly #status: number | undefined;
  readonly #dies: boolean;

  onStdout(consumer: (bytes: Uint8Array) => void | Promise<void>): void {
    void (async () => {
      for (let i = 0; i < this.#times && !this.killed.includes('stdout'); i++) {
        await consumer(this.#output[0]);
        await turn();
      }
      if (this.#status !== undefined) this.#end.resolve({ status: this.#status });
    })();
  }

  onStderr(consumer: (bytes: Uint8Array) => void | Promise<void>): void {
    void consumer(this.#output[1]);
  }

  closeStdout = (): void => void this.killed.push('stdout');
  closeStderr = (): void => void this.killed.push('stderr');
  resize = async (): Promise<void> => {};
  signal = async (): Promise<void> => {};
  kill = async (): Promise<void> => {
    this.killed.push('killed');
    if (this.#dies) this.#end.resolve({ status: 137 });
  };
  wait = (): Promise<ProcessEnd> => this.#end.promise;
}

const filesOf = (process: Played): Files => new Files({ builtin: async () => process } as unknown as Box, (work) => work);
const codeOf = async (work: Promise<unknown>): Promise<string> => work.then(() => 'none', (error: unknown) => (error instanceof VmmError ? error.code : String((error as Error).name)));
const event = (length: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(length, 4);
  return bytes;
};

describe('a command of a guest that was taken over', () => {
  it('that does not end when it is killed has an end all the same', async () => {
    const process = new Played(Buffer.from('x'));
    expect(await collect(process, { timeout: 10 })).toMatchObject({ status: 137, timedOut: true, truncated: false });
    expect(process.killed).toEqual(['killed', 'stdout', 'stderr']);
  });

  it('that floods for ever is read no further than was asked for', async () => {
    const process = new Played(Buffer.alloc(65_536), { times: Number.POSITIVE_INFINITY, dies: true });
    const { truncated, stdoutBytes } = await collect(process, { maxOutput: 100_000 });
    expect([truncated, stdoutBytes.length, process.killed[0]]).toEqual([true, 100_000, 'killed']);
  });

  it('that is aborted is not waited for', async () => {
    const process = new Played(Buffer.from('x'));
    expect(await codeOf(collect(process, { signal: AbortSignal.timeout(10) }))).toBe('TimeoutError');
    expect(process.killed).toEqual(['killed', 'stdout', 'stderr']);
  });

  it('that starts too late is killed when it has', async () => {
    const late = Promise.withResolvers<BoxProcess>();
    await expect(started(late.promise, { timeout: 10 })).rejects.toThrow('in time');
    const process = new Played(Buffer.alloc(0));
    late.resolve(process);
    await turn();
    expect(process.killed).toEqual(['stdout', 'stderr', 'killed']);
  });
});

describe('files of a guest that was taken over', () => {
  it('its words are one line without controls, and not many', async () => {
    const { said } = await ownCommand(new Played(Buffer.alloc(0), { stderr: Buffer.from(`\x1b[2Ja\nb\u2028${'c'.repeat(5000)}`), end: 1 }), {});
    expect(said).toMatch(/^ \[2Ja b c+$/);
    expect(said.length).toBeLessThanOrEqual(1000);
  });

  it('lists that are none, that do not end, and events that are none', async () => {
    expect(await codeOf(filesOf(new Played(Buffer.alloc(56, 0xff), { end: 0 })).list('/'))).toBe('COPY_GUEST');
    expect(await codeOf(filesOf(new Played(Buffer.alloc(10, 0x66), { end: 0 })).list('/'))).toBe('COPY_GUEST');
    expect(await codeOf(filesOf(new Played(Buffer.alloc(0), { end: 0 })).stat('/a'))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(filesOf(new Played(Buffer.alloc(1 << 20), { times: Number.POSITIVE_INFINITY })).list('/'))).toBe('FILE_LARGE');
    expect(await codeOf(filesOf(new Played(Buffer.alloc(1 << 20), { times: Number.POSITIVE_INFINITY })).read('/a', { maxBytes: 1 << 22 }))).toBe('FILE_LARGE');
    expect(await codeOf(filesOf(new Played(event(256))).watch('/'))).toBe('COPY_GUEST');
    expect(await codeOf(filesOf(new Played(event(0xffff_ffff))).watch('/'))).toBe('COPY_GUEST');
  });
});
