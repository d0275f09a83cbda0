import { readFileSync } from 'node:fs';
import { VmmError } from '../../base/errors.ts';

/** `core-kvm` has no CPU: an eighth of the size, and of the time to compile it. */
export type CoreName = 'core' | 'core-kvm';

const compiled = new Map<CoreName, WebAssembly.Module>();

/** The compiled core, dist/NAME.wasm beside this bundle; compiled once a process. */
export function coreModule(name: CoreName = 'core'): WebAssembly.Module {
  let module = compiled.get(name);
  if (module === undefined) {
    try {
      module = new WebAssembly.Module(readFileSync(new URL(`./${name}.wasm`, import.meta.url)));
    } catch (cause) {
      throw new VmmError('NOT_BUILT', `dist/${name}.wasm cannot be loaded`, { cause, hint: 'run `npm run setup` in the checkout' });
    }
    compiled.set(name, module);
  }
  return module;
}
