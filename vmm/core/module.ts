import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { CPU_BASE } from '../../assembly/core/layout.ts';
import { FIELD_ICOUNT } from '../../assembly/contract/vcpu.ts';
import { VmmError } from '../../base/errors.ts';
import type { CoreExports } from './exports.ts';
import { type Keeper, keptCode } from './kept-code.ts';

/** `core-kvm` has no CPU: an eighth of the size, and of the time to compile it. */
export type CoreName = 'core' | 'core-kvm';

const compiled = new Map<CoreName, WebAssembly.Module>();
let keeper: Keeper | undefined;
let kept = false;

/** Whether V8's code of the software CPU came from an earlier process. */
export function codeIsKept(): boolean {
  return kept;
}

let checksum = 0;

/** CRC-32 of the software CPU's core: what belongs to it has it. */
export function coreChecksum(): number {
  coreModule();
  return checksum;
}

/** The compiled core, dist/NAME.wasm beside this bundle; compiled once a process. */
export function coreModule(name: CoreName = 'core'): WebAssembly.Module {
  let module = compiled.get(name);
  if (module === undefined) {
    try {
      module = compile(name);
    } catch (cause) {
      throw new VmmError('NOT_BUILT', `dist/${name}.wasm cannot be loaded`, { cause, hint: 'run `npm run setup` in the checkout' });
    }
    compiled.set(name, module);
  }
  return module;
}

function compile(name: CoreName): WebAssembly.Module {
  const wasm = readFileSync(new URL(`./${name}.wasm`, import.meta.url));
  if (name === 'core') {
    checksum = crc32(wasm);
    const found = keptCode(new Uint8Array(wasm));
    ({ keeper } = found);
    if (found.module !== undefined) {
      kept = true;
      return found.module;
    }
  }
  return new WebAssembly.Module(wasm);
}

/** Guest instructions after which V8 has optimised what a start needs: half of a container's. */
const WARM = 20_000_000n;

/** The machine of `core` has ended: V8's code of the software CPU is kept for the next process, once, if this one has made it. */
export function keepCode(core: CoreExports, memory: WebAssembly.Memory): void {
  const module = compiled.get('core');
  if (keeper === undefined || module === undefined) return;
  const retired = new DataView(memory.buffer).getBigUint64(CPU_BASE + core.cpu_field(FIELD_ICOUNT), true);
  if (retired < WARM) return;
  keeper.keep(module, core.device_process);
  keeper = undefined;
}
