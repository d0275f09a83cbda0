/** `stop [--force] UUID`, in the directory of a running pod: asks it to end, or ends it. */
import { readFileSync } from 'node:fs';
import { askOnce } from './control/client.ts';
import { Failure } from './common/failure.ts';
import { isTrue, parseFlags } from './common/flags.ts';

export async function stop(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, { force: 'boolean', debug: 'boolean' });
  const uuid = flags.rest.at(-1) ?? '';
  if (!isTrue(flags, 'force')) {
    try {
      await askOnce({ kind: 'stop' });
      return 0;
    } catch (error) {
      // It may not listen yet: the signal means the same.
      if (!(error instanceof Failure)) throw error;
    }
  }
  const pid = podProcess(uuid);
  if (pid === undefined) throw new Failure(`the process of pod ${uuid} is not there`);
  process.kill(pid, isTrue(flags, 'force') ? 'SIGKILL' : 'SIGTERM');
  return 0;
}

/** The pod's process: a number may be another's by now, so that its command line must name the pod. */
function podProcess(uuid: string): number | undefined {
  try {
    const pid = Number(/^\d+/.exec(readFileSync('pid', 'latin1'))?.[0]);
    if (!Number.isInteger(pid) || pid < 2) return undefined;
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(uuid) ? pid : undefined;
  } catch {
    return undefined;
  }
}
