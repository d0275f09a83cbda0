import { kvmState } from '../machine/accelerator.ts';
import { parseArgs } from './args.ts';

/** `vmm accel`: what runs guests here, and why. */
export async function accelCommand(argv: readonly string[]): Promise<number> {
  parseArgs(argv, [], { stopAtPositional: false, command: 'accel' });
  const kvm = await kvmState();
  const usable = kvm.state === 'hardware';
  process.stdout.write(`kvm   ${kvm.state}: ${kvm.detail}${usable ? '' : ` (${kvm.hint})`}\n`);
  process.stdout.write('wasm  works: x86-64 in WebAssembly, on any CPU\n');
  process.stdout.write(`auto  ${usable ? 'kvm' : 'wasm'}\n`);
  return 0;
}
