import { VmmError } from '../../base/errors.ts';
import { ErofsImage } from '../erofs/reader.ts';
import { treeFromErofs } from '../erofs/tree.ts';
import type { LayerSource } from '../rootfs/build.ts';
import type { AciHooks, Below } from '../sources/aci.ts';
import type { ImageRecord } from '../store/record.ts';
import type { ImageStore } from '../store/store.ts';
import { tarFromTree } from '../tar/writer.ts';
import type { DirNode } from '../tree/node.ts';
import type { ImageManifest } from './schema/image-manifest.ts';
import { storedAci, textOf, type Wanted } from './stored.ts';

/** Dependencies of dependencies go so deep. */
const MAX_DEPTH = 32;
const MAX_DEPENDENCIES = 256;

/** A dependency as it is looked for: by whom, for the end of a circle. */
export interface Needed extends Wanted {
  readonly size: number | undefined;
  /** Images that need it, the outermost first, as `textOf` writes them. */
  readonly chain: readonly string[];
}

/** Brings what the store has not; undefined: nobody can. */
export type Bring = (needed: Needed) => Promise<ImageRecord | undefined>;

/**
 * Lays what an ACI depends on below it, in the order of its list: each is an image of the store with a disk of its own, rendered
 * with its dependencies and filtered by its whitelist. That is the specification's order, depth first. Throws ACI_DEPENDENCY.
 */
export function dependencyHooks(store: ImageStore, bring: Bring, chain: readonly string[] = []): AciHooks {
  return {
    dependencies: async (manifest, where) => {
      const records = await find(store, bring, manifest, where, chain);
      const open: ErofsImage[] = [];
      const close = (): void => {
        for (const image of open.splice(0)) image.close();
      };
      try {
        const layers = records.map((record, i): LayerSource => {
          // An open disk stays readable, even if it is removed meanwhile.
          const image = new ErofsImage(store.rootfsPath(record.rootfs));
          open.push(image);
          return { name: manifest.dependencies[i]?.imageName ?? '', data: tarOf(treeFromErofs(image)), whiteouts: false, replaceLinks: true };
        });
        return { layers, key: records.map(({ id, rootfs }) => `${id} ${rootfs}`).join(' '), close } satisfies Below;
      } catch (error) {
        close();
        throw error;
      }
    },
  };
}

async function find(store: ImageStore, bring: Bring, manifest: ImageManifest, where: string, chain: readonly string[]): Promise<ImageRecord[]> {
  if (manifest.dependencies.length > MAX_DEPENDENCIES) throw bad(where, `depends on ${manifest.dependencies.length} images; at most ${MAX_DEPENDENCIES} are taken`);
  const own = textOf(manifest);
  if (chain.includes(own)) throw bad(where, `${own} depends on itself`);
  if (chain.length >= MAX_DEPTH) throw bad(where, `dependencies go more than ${MAX_DEPTH} deep`);
  const records: ImageRecord[] = [];
  for (const { imageName, labels, imageID, size } of manifest.dependencies) {
    const needed: Needed = { name: imageName, labels, imageID, size, chain: [...chain, own] };
    const record = storedAci(store, needed) ?? (await bring(needed));
    if (record === undefined) throw new VmmError('ACI_DEPENDENCY', `${where}: depends on ${textOf(needed)}, which is not in the store`, { hint: 'import it first with `vmm image import`, or let it be fetched' });
    records.push(record);
  }
  return records;
}

async function* tarOf(tree: DirNode): AsyncGenerator<Uint8Array> {
  yield* tarFromTree(tree);
}

function bad(where: string, what: string): VmmError {
  return new VmmError('ACI_DEPENDENCY', `${where}: ${what}`, { hint: 'the image is damaged or hostile' });
}
