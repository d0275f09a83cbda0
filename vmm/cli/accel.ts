import { VmmError } from '../api/errors.ts';
import { cpuLevel, kvmState, SOFTWARE_MODEL } from '../api/machine.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { helpText } from './help.ts';
import type { Command } from './options.ts';
import { print } from './output.ts';

const OPTIONS = { help: HELP };
export const ACCEL: Command<typeof OPTIONS> = { name: 'accel', synopsis: '', about: 'Says which accelerators work here, and why not.', options: OPTIONS };

/** `vmm accel`: what runs guests here, and why. */
export async function accelCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, ACCEL);
  if (options.help) {
    print(helpText(ACCEL));
    return 0;
  }
  if (operands.length > 0) throw new VmmError('USAGE', `accel takes no argument ${operands[0]}`, { hint: 'see `vmm accel --help`' });
  const kvm = await kvmState();
  const usable = kvm.state === 'hardware';
  const seen = usable ? `; guests see ${cpuLevel()} (--cpu host)` : ` (${kvm.hint})`;
  print(`kvm   ${kvm.state}: ${kvm.detail}${seen}\nwasm  works: x86-64 in WebAssembly, on any CPU; guests see ${SOFTWARE_MODEL}; hot 64-bit code is translated (--jit on; --timeline tells of it)\nauto  ${usable ? 'kvm' : 'wasm'}\n`);
  return 0;
}
