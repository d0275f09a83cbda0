import { knownFolders } from './image-users.ts';
import { tell } from './output.ts';

/**
 * The ids of the containers that have a volume, running or not: as with Docker none of these is removed. Only containers of the usual state folder and of `root` are known: of those below
 * another --root the ones that run. A record of another version is not understood: what stands anywhere in it counts as used, which is told. Throws STATE_FOLDER.
 */
export async function volumeUsers(root?: string): Promise<(name: string) => readonly string[]> {
  const users = new Map<string, string[]>();
  const foreign: { readonly id: string; readonly text: string }[] = [];
  const lists = knownFolders(root).map((state) => state.list(({ id, error, text }) => {
    foreign.push({ id, text });
    tell(`vmm: ${error.message}: volumes that it names count as used\n`);
  }));
  for (const { record } of (await Promise.all(lists)).flat()) {
    for (const name of new Set(record.mounts?.flatMap(({ name: each }) => each ?? []))) users.set(name, [...(users.get(name) ?? []), record.id]);
  }
  return (name) => [...(users.get(name) ?? []), ...foreign.flatMap(({ id, text }) => (text.includes(name) ? id : []))];
}
