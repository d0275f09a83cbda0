import { dependencyHooks } from './appc/below.ts';
import type { AciHooks } from './sources/aci.ts';
import type { ImageStore } from './store/store.ts';

/** What an ACI needs to become a disk: images that it depends on come from the store. */
export function aciHooks(store: ImageStore): AciHooks {
  return dependencyHooks(store, async () => undefined);
}
