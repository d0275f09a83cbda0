import { createHash } from 'node:crypto';
import type { SignaturePacket } from 'openpgp';
import { VmmError } from '../../base/errors.ts';
import { chunksOf } from './file.ts';
import { loadOpenPgp } from './openpgp.ts';

/** What a signature packet of OpenPGP.js (6.3, pinned) has behind its declared face. */
interface Inside {
  toHash(type: number, data: unknown, detached: boolean): Uint8Array | null;
  hash(): Promise<Uint8Array>;
}

/** RFC 9580, 9.5. */
const NODE_NAMES: Readonly<Record<number, string>> = { 8: 'sha256', 9: 'sha384', 10: 'sha512', 11: 'sha224', 12: 'sha3-256', 14: 'sha3-512' };

/**
 * Lets a packet sign or verify an open file: Node's hash reads the file in pieces, and the packet gets the digest. OpenPGP.js's own
 * streams keep all that was read in memory (1 GB of data took 2 GB).
 */
export async function hashFile(packet: SignaturePacket, fd: number, where: string): Promise<void> {
  const { createMessage } = await loadOpenPgp();
  const name = NODE_NAMES[packet.hashAlgorithm ?? 0];
  if (name === undefined) throw new VmmError('ACI_SIGNATURE', `${where}: is signed with a hash that is not known (${packet.hashAlgorithm})`, { hint: 'sign with SHA-256 or SHA-512' });
  const nothing = (await createMessage({ binary: new Uint8Array(0) })).packets[0];
  const inside = packet as unknown as Inside;
  const toHash = inside.toHash.bind(packet);
  let tail: Uint8Array = new Uint8Array(0);
  inside.toHash = (type, _, detached) => {
    // What follows the data: the signature's own fields and their length.
    tail = toHash(type, nothing, detached) as Uint8Array;
    return null;
  };
  inside.hash = async () => {
    const hash = createHash(name);
    for await (const chunk of chunksOf(fd)) hash.update(chunk);
    return hash.update(tail).digest();
  };
}
