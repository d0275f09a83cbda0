import { dirname } from 'node:path';
import { type ConfineConfig, guestFile } from '../api/machine.ts';

/** What a command's process still opens once its guest runs. `symbols`: a file that names addresses in a dump, else our kernel's. */
export function confineConfig(when: ConfineConfig['when'], { gdb, symbols }: { readonly gdb: string | undefined; readonly symbols?: string | undefined }): ConfineConfig {
  const socket = gdb?.startsWith('unix:') ? [dirname(gdb.slice('unix:'.length))] : [];
  return { when, read: [symbols ?? guestFile('System.map')], remove: socket };
}
