import type * as OpenPgp from 'openpgp';
import { VmmError } from '../../base/errors.ts';

export type Key = OpenPgp.PublicKey;
export type Signature = OpenPgp.Signature;
type Library = typeof OpenPgp;

/** Most bytes of a key's or a signature's file; keys with many signatures of others have some hundred KiB. */
export const ARMOUR_MAX = 1 << 20;

/** Loaded by who verifies or signs alone: it takes 150 ms. In the bundles it is a file of its own. */
export async function loadOpenPgp(): Promise<Library> {
  const module = (await import('openpgp')) as Library & { default?: Library };
  return module.default ?? module;
}

/** The one public key of an armoured file, as rkt keeps them. Throws ACI_KEY. */
export async function readPublicKey(text: Uint8Array, where: string): Promise<Key> {
  const { readKeys } = await loadOpenPgp();
  const armoredKeys = armourOf(text, 'PGP PUBLIC KEY BLOCK', where);
  let keys: OpenPgp.Key[];
  try {
    keys = await readKeys({ armoredKeys });
  } catch (cause) {
    throw new VmmError('ACI_KEY', `${where}: is no OpenPGP key: ${(cause as Error).message}`, { cause, hint: 'export it with `gpg --armor --export`' });
  }
  const [key, ...more] = keys;
  if (key === undefined || more.length > 0) throw new VmmError('ACI_KEY', `${where}: holds ${keys.length} keys, not one`, { hint: 'export them one by one' });
  if (key.isPrivate()) throw new VmmError('ACI_KEY', `${where}: is a secret key`, { hint: 'give the public one' });
  return key as Key;
}

/** Armoured text, which starts with the block that is wanted. Throws ACI_KEY. */
export function armourOf(bytes: Uint8Array, block: string, where: string): string {
  if (bytes.length > ARMOUR_MAX) throw new VmmError('ACI_KEY', `${where}: has ${bytes.length} bytes; at most ${ARMOUR_MAX} are read`);
  const text = Buffer.from(bytes).toString('latin1');
  const at = text.indexOf(`-----BEGIN ${block}-----`);
  if (at < 0 || /\S/.test(text.slice(0, at))) throw new VmmError('ACI_KEY', `${where}: does not start with -----BEGIN ${block}-----`, { hint: 'ASCII armour is what is read' });
  return text;
}

/** 40 hexadecimal digits of the primary key. */
export function fingerprintOf(key: Key): string {
  return key.getFingerprint();
}

/** What names a key's owner, for a terminal to show. */
export function userIdsOf(key: Key): string[] {
  return key.getUserIDs().slice(0, 10);
}
