/** `gc [--debug] [--local-config DIR] UUID`, in the directory of a pod that has ended: gives back what lies outside it. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './common/failure.ts';
import { parseFlags, UUID } from './common/flags.ts';
import { ownRoot } from './common/own-root.ts';
import { SOCKET } from './control/frames.ts';
import { detach } from './net/pod-network.ts';

/** Half done it can be done again: nothing of what it removes is needed to go on. */
export async function gc(argv: readonly string[]): Promise<number> {
  const { rest } = parseFlags(argv, { debug: 'boolean', 'local-config': 'string' });
  const uuid = rest.at(-1) ?? '';
  // Rules and processes of the host are found by it.
  if (!UUID.test(uuid)) throw new Failure(`gc: the last argument is a pod's UUID, not ${JSON.stringify(uuid.slice(0, 100))}`);
  // A mount is taken away without the FFI library by the launcher.
  const drop = (path: string): void => void spawnSync(join(ownRoot(), 'vmm/drop'), [path], { stdio: 'ignore', timeout: 10_000 });
  const troubles = await detach(uuid, drop);
  rmSync(SOCKET, { force: true });
  if (troubles.length > 0) throw new Failure(troubles.join('; '));
  return 0;
}
