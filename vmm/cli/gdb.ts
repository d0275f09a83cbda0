import { VmmError } from '../../base/errors.ts';
import type { GdbServer } from '../gdb/server.ts';
import type { ParsedArgs } from './args.ts';

/** The debugger that `--gdb` asks for; undefined without it, and then nothing of it is loaded. It listens already. */
export async function debuggerFor(args: ParsedArgs, canReset: boolean, note: (text: string) => void): Promise<GdbServer | undefined> {
  const text = args.values.get('gdb');
  const wait = args.flags.get('wait') ?? false;
  if (text === undefined) {
    if (wait) throw new VmmError('USAGE', '--wait holds the guest for a debugger, and there is none', { hint: 'add --gdb unix:PATH' });
    return undefined;
  }
  const { parseGdbAddress } = await import('../gdb/address.ts');
  const address = parseGdbAddress(text);
  const { GdbServer } = await import('../gdb/server.ts');
  const server = await GdbServer.listen({ address, wait, canReset });
  note(`gdb: target remote ${server.target}`);
  return server;
}
