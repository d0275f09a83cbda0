import { StateFolder } from '../api/owner.ts';

/** Ids of the containers that are kept and have a volume, running or not, by its name: as with Docker none of these is removed. Throws STATE_FOLDER. */
export async function volumeUsers(): Promise<ReadonlyMap<string, readonly string[]>> {
  const users = new Map<string, string[]>();
  for (const { record } of await new StateFolder().list()) {
    for (const name of new Set(record.mounts?.flatMap(({ name: each }) => each ?? []))) users.set(name, [...(users.get(name) ?? []), record.id]);
  }
  return users;
}
