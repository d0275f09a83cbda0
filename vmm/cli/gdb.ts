import { VmmError } from '../api/errors.ts';
import type { GdbServer } from '../api/gdb.ts';

/** The debugger that `--gdb` asks for; undefined without it, and then nothing of it is loaded. It listens already. */
export async function debuggerFor(options: { readonly gdb: string | undefined; readonly wait: boolean }, canReset: boolean, note: (text: string) => void): Promise<GdbServer | undefined> {
  const { gdb, wait } = options;
  if (gdb === undefined) {
    if (wait) throw new VmmError('USAGE', '--wait holds the guest for a debugger, and there is none', { hint: 'add --gdb unix:PATH' });
    return undefined;
  }
  const { GdbServer, parseGdbAddress } = await import('../api/gdb.ts');
  const server = await GdbServer.listen({ address: parseGdbAddress(gdb), wait, canReset });
  note(`gdb: target remote ${server.target}`);
  return server;
}
