import { kvmState } from '../machine/accelerator.ts';
import { VmmError } from '../../base/errors.ts';
import { helpText, parseArgs } from './args.ts';
import { HELP } from './common-options.ts';

/** `vmm accel`: what runs guests here, and why. */
export async function accelCommand(argv: readonly string[]): Promise<number> {
  const args = parseArgs(argv, [HELP], { stopAtPositional: false, command: 'accel' });
  if (args.flags.get('help')) {
    process.stdout.write(helpText('vmm accel', 'Says which accelerators work here, and why not.', [HELP]));
    return 0;
  }
  if (args.positionals.length > 0) throw new VmmError('USAGE', `accel takes no argument ${args.positionals[0]}`, { hint: 'see `vmm accel --help`' });
  const kvm = await kvmState();
  const usable = kvm.state === 'hardware';
  process.stdout.write(`kvm   ${kvm.state}: ${kvm.detail}${usable ? '' : ` (${kvm.hint})`}\n`);
  process.stdout.write('wasm  works: x86-64 in WebAssembly, on any CPU\n');
  process.stdout.write(`auto  ${usable ? 'kvm' : 'wasm'}\n`);
  return 0;
}
