/** What happens to files of a sandbox, as its kernel tells it: inotify(7). */
import { posix } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import type { Command } from './command.ts';
import { complaint, failure } from './own-command.ts';

export interface WatchEvent {
  /** `rename`: it has gone elsewhere; what comes by a rename is `create`. `gone`: what was watched is not there any more. `overflow`: there was more than could be told. */
  readonly type: 'create' | 'write' | 'close' | 'chmod' | 'remove' | 'rename' | 'gone' | 'overflow';
  readonly path: string;
  readonly directory: boolean;
}

/** linux/inotify.h */
const MASKS: readonly (readonly [mask: number, type: WatchEvent['type']])[] = [
  [0x4000, 'overflow'], [0x400, 'gone'], [0x800, 'gone'], [0x100, 'create'], [0x80, 'create'], [0x200, 'remove'], [0x40, 'rename'], [0x2, 'write'], [0x8, 'close'], [0x4, 'chmod'],
];
const IN_ISDIR = 0x4000_0000;
const HEADER = 8;
const NAME_MAX = 255;

/** Events are read one after the other; the guest holds back what is not read yet, and tells where it had to leave something out. */
export class Watch implements AsyncIterable<WatchEvent>, AsyncDisposable {
  readonly #command: Command;
  readonly #path: string;
  readonly #events: AsyncGenerator<readonly [mask: number, name: string]>;

  private constructor(command: Command, path: string) {
    this.#command = command;
    this.#path = path;
    this.#events = eventsOf(command);
  }

  /** Resolves when the guest looks. Throws FILE_NOT_FOUND, FILE_FAILED. */
  static async start(command: Command, path: string): Promise<Watch> {
    const watch = new Watch(command, path);
    const said = complaint(command);
    const first = await watch.#events.next();
    if (first.done !== true) return watch;
    const { status } = await command.wait();
    throw failure(status, path, said());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent> {
    try {
      for await (const [mask, name] of this.#events) {
        const type = MASKS.find(([bit]) => (mask & bit) !== 0)?.[1];
        if (type !== undefined) yield { type, path: name === '' ? this.#path : posix.join(this.#path, name), directory: (mask & IN_ISDIR) !== 0 };
      }
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** Ends it: who waits for an event gets the end of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#command[Symbol.asyncDispose]();
  }
}

async function* eventsOf(command: Command): AsyncGenerator<readonly [number, string]> {
  let left: Buffer = Buffer.alloc(0);
  for await (const chunk of command.stdout) {
    let bytes = Buffer.concat([left, chunk as Buffer]);
    for (;;) {
      const length = bytes.length < HEADER ? undefined : bytes.readUInt32LE(4);
      if (length === undefined) break;
      if (length > NAME_MAX) throw new VmmError('COPY_GUEST', 'the sandbox tells what is no event of a file', { hint: 'what runs in it may have taken its machine over' });
      if (bytes.length < HEADER + length) break;
      yield [bytes.readUInt32LE(0), bytes.toString('utf8', HEADER, HEADER + length)];
      bytes = bytes.subarray(HEADER + length);
    }
    left = bytes;
  }
}
