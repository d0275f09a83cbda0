/** Commands of a container's init, for commands of ours. */
import { VmmError } from '../api/errors.ts';
import { EXIT, FAILED, STDERR, STDIN, STDOUT, TAKEN } from '../api/frames.ts';
import { talkToOwner } from '../api/owner.ts';
import { oneLine } from './describe.ts';

/** Bytes on the way at most (INPUT_WINDOW). */
const AHEAD = 128 << 10;
/** What is kept of what it says is wrong. */
const MAX_SAID = 1000;

export interface BuiltinIo {
  readonly input?: Iterable<Buffer> | undefined;
  output(bytes: Buffer): void | Promise<void>;
}

/** Its status, and what it said is wrong, as a line. Throws CONTAINER_STATE, CONTAINER_LOST, what `output` and `input` throw. */
export async function ownCommand(socket: string, container: string, args: readonly string[], { input, output }: BuiltinIo): Promise<{ readonly status: number; readonly said: string }> {
  const talk = await talkToOwner(socket, { ask: 'builtin', args, stdin: input !== undefined });
  if (talk === undefined) throw new VmmError('CONTAINER_STATE', `container ${container} does not run`, { hint: '`vmm start` it first' });
  const { channel } = talk;
  let said = '';
  try {
    return await new Promise((resolve, reject) => {
      let ahead = 0;
      const chunks = input?.[Symbol.iterator]();
      let over = chunks === undefined;
      const send = (): void => {
        while (!over && ahead < AHEAD) {
          const next = chunks?.next();
          over = next === undefined || next.done === true;
          const bytes = over ? Buffer.alloc(0) : (next?.value as Buffer);
          ahead += bytes.length;
          void channel.send(STDIN, bytes);
        }
      };
      channel.onClose(() => reject(new VmmError('CONTAINER_LOST', `the process of container ${container} is gone`)));
      channel.onFrame(async ({ kind, payload }) => {
        try {
          if (kind === STDOUT) await output(payload);
          else if (kind === STDERR) said = (said + payload.toString()).slice(0, MAX_SAID);
          else if (kind === TAKEN) {
            over ||= payload.length !== 4;
            ahead -= payload.length === 4 ? payload.readUInt32LE(0) : 0;
            send();
          } else if (kind === EXIT && payload.length === 4) resolve({ status: payload.readUInt32LE(0) & 0xff, said: oneLine(said.trimEnd()) });
          else if (kind === FAILED) reject(new VmmError('CONTAINER_LOST', `container ${container}: ${payload.toString()}`));
        } catch (error) {
          reject(error as Error);
        }
      });
      send();
    });
  } finally {
    channel.destroy();
  }
}
