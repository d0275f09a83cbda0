import { connect } from 'node:net';
import { VmmError } from '../../base/errors.ts';
import { Channel } from './channel.ts';
import { type Answer, type Ask, MAX_LINE, PROTOCOL_VERSION } from './protocol.ts';
import { withSocketPath } from './socket.ts';

/** What an owner refuses, with the status that the client ends with if the owner has said one. */
export class Refused extends VmmError {
  readonly status: number | undefined;

  constructor({ code, message, hint, status }: { readonly code: string; readonly message: string; readonly hint?: string | undefined; readonly status?: number | undefined }) {
    super(code, message, hint === undefined ? {} : { hint });
    this.status = status;
  }
}

export interface Talk {
  readonly answer: Omit<Answer & { done: true }, 'version' | 'done'>;
  /** What follows the answer. */
  readonly channel: Channel;
}

/** Asks a container's owner on its socket; undefined: it is gone, or `signal` was aborted before it had answered. The connection stays open. Throws OWNER_REFUSED, and what the owner says. */
export function talkToOwner(path: string, ask: Ask, signal?: AbortSignal): Promise<Talk | undefined> {
  return new Promise((resolve, reject) => {
    const { result: socket, close } = withSocketPath(path, (short) => connect({ path: short }));
    const chunks: Buffer[] = [];
    let length = 0;
    let open = true;
    const release = (): void => {
      if (open) close();
      open = false;
    };
    socket.once('connect', () => {
      release();
      socket.write(`${JSON.stringify({ version: PROTOCOL_VERSION, ...ask })}\n`);
    });
    socket.on('error', () => {});
    socket.once('close', release);
    const gone = (): void => resolve(undefined);
    socket.once('close', gone);
    const giveUp = (): void => void socket.destroy();
    signal?.addEventListener('abort', giveUp);
    socket.once('close', () => signal?.removeEventListener('abort', giveUp));
    if (signal?.aborted) giveUp();
    const take = (chunk: Buffer): void => {
      const end = chunk.indexOf(10);
      chunks.push(chunk);
      length += chunk.length;
      if (end < 0) {
        if (length > MAX_LINE) socket.destroy();
        return;
      }
      socket.off('data', take);
      socket.off('close', gone);
      signal?.removeEventListener('abort', giveUp);
      socket.pause();
      const all = Buffer.concat(chunks);
      const line = length - chunk.length + end;
      try {
        const answer = JSON.parse(all.toString('utf8', 0, line)) as Answer;
        if (!answer.done) throw new Refused(answer);
        resolve({ answer, channel: new Channel(socket, all.subarray(line + 1)) });
      } catch (cause) {
        socket.destroy();
        reject(cause instanceof Refused ? cause : new VmmError('OWNER_REFUSED', 'the container’s process answers what is not understood', { cause }));
      }
    };
    socket.on('data', take);
  });
}

/** Asks what has one answer; undefined: the owner is gone. Throws as `talkToOwner`. */
export async function askOwner(path: string, ask: Ask): Promise<Talk['answer'] | undefined> {
  const talk = await talkToOwner(path, ask);
  talk?.channel.destroy();
  return talk?.answer;
}
