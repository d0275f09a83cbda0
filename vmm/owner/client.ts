import { connect } from 'node:net';
import { VmmError } from '../../base/errors.ts';
import { type Answer, type Ask, MAX_LINE, PROTOCOL_VERSION } from './protocol.ts';
import { withSocketPath } from './socket.ts';

/** Asks a container's owner on its socket; undefined: it is gone. Throws OWNER_REFUSED, and what the owner says. */
export function askOwner(path: string, ask: Ask): Promise<{ readonly status: number | undefined } | undefined> {
  return new Promise((resolve, reject) => {
    const { result: socket, close } = withSocketPath(path, (short) => connect({ path: short }));
    let text = '';
    socket.once('connect', () => socket.write(`${JSON.stringify({ version: PROTOCOL_VERSION, ...ask })}\n`));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_LINE) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      close();
      if (!text.endsWith('\n')) {
        resolve(undefined);
        return;
      }
      try {
        const answer = JSON.parse(text) as Answer;
        if (answer.done) resolve({ status: answer.status });
        else reject(new VmmError(answer.code, answer.message));
      } catch (cause) {
        reject(new VmmError('OWNER_REFUSED', 'the container’s process answers what is not understood', { cause }));
      }
    });
  });
}
