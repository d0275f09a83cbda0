import { StateFolder } from '../api/owner.ts';
import { tell } from './output.ts';

/** The state folders that a command knows: the usual one, whose containers are never forgotten, and that of --root. */
export function knownFolders(root: string | undefined): StateFolder[] {
  const [usual, given] = [new StateFolder(), new StateFolder(root)];
  return usual.containers === given.containers ? [usual] : [usual, given];
}

/**
 * Whether a kept container was made of an image, of those of the usual state folder and of `root`: it has the disk by a link of its own or, on another file system, not even that; and `commit` needs the rest. What stands anywhere in a
 * record of another version counts. Throws STATE_FOLDER.
 */
export async function imageUsers(root: string | undefined): Promise<(id: string) => boolean> {
  const foreign: string[] = [];
  const used = new Set<string>();
  for (const state of knownFolders(root)) {
    const containers = await state.list(({ error, text }) => {
      foreign.push(text);
      tell(`vmm: ${error.message}: images that it names count as used\n`);
    });
    for (const { record } of containers) used.add(record.imageId);
  }
  return (id) => used.has(id) || foreign.some((text) => text.includes(id));
}
