import { Duplex } from 'node:stream';
import type { Stream } from '../agent/transport.ts';

/** Node's view of a connection, with its back-pressure both ways; dropped after `idleMs` without a byte. */
export function streamDuplex(stream: Stream, idleMs: number): Duplex {
  let taken: (() => void) | undefined;
  const goOn = (): void => {
    taken?.();
    taken = undefined;
  };
  const timer = setTimeout(() => duplex.destroy(), idleMs);
  timer.unref();
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: goOn,
    write: (chunk: Buffer, _encoding, done) => {
      timer.refresh();
      stream.write(chunk).then(() => done(), done);
    },
    final: (done) => {
      stream.end();
      done();
    },
    destroy: (error, done) => {
      clearTimeout(timer);
      goOn();
      stream.destroy();
      done(error);
    },
  });
  // A peer that is gone is nobody's failure.
  duplex.on('error', () => {});
  stream.onData((chunk) => {
    timer.refresh();
    // The chunk is the transport's own afterwards.
    if (duplex.destroyed || duplex.push(Buffer.from(chunk))) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    taken = resolve;
    return promise;
  });
  stream.onEnd(() => {
    if (!duplex.destroyed) duplex.push(null);
  });
  stream.onClose(() => duplex.destroy());
  return duplex;
}
