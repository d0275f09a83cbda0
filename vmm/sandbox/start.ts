/** The start of a command, which a guest may hold up as well as its end. */
import type { BoxProcess } from './box.ts';
import type { Limits } from './deadline.ts';
import { unless } from './unless.ts';

/** It has not started in time. */
export class Stalled extends Error {}

/** What starts too late is killed. Rejects with Stalled, and with the reason of an aborted `signal`. */
export async function started(start: Promise<BoxProcess>, { timeout, signal }: Limits): Promise<BoxProcess> {
  if (timeout === undefined && signal === undefined) return start;
  const late = Promise.withResolvers<never>();
  const timer = timeout === undefined ? undefined : setTimeout(() => late.reject(new Stalled('the command did not start in time')), timeout);
  try {
    return await unless(signal, Promise.race([start, late.promise]));
  } catch (error) {
    start.then((process) => {
      process.closeStdout();
      process.closeStderr();
      return process.kill();
    }).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
