/** `gc [--debug] [--local-config DIR] UUID`, in the directory of a pod that has ended: gives back what lies outside it. */
import { rmSync } from 'node:fs';
import { SOCKET } from './control/frames.ts';
import { parseFlags } from './common/flags.ts';

export async function gc(argv: readonly string[]): Promise<number> {
  parseFlags(argv, { debug: 'boolean', 'local-config': 'string' });
  rmSync(SOCKET, { force: true });
  return 0;
}
