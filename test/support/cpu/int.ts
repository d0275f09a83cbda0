/** The integer core for tests: a machine whose vCPU 0 is in long mode, from the entry assembly/test/int.ts. */
import { SysMachine, testCore } from './sys.ts';

let module: WebAssembly.Module | undefined;

/** `profile`: 0 baseline, 1 x86-64-v2. */
export function intMachine(profile = 0, cpus = 1): SysMachine {
  module ??= testCore();
  return new SysMachine(module, cpus, profile);
}
