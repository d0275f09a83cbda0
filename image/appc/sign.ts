import type { PrivateKey } from 'openpgp';
import { VmmError } from '../../base/errors.ts';
import { hashFile } from './digest.ts';
import { openRegular } from './file.ts';
import { armourOf, loadOpenPgp } from './openpgp.ts';
import { withFile } from './verify.ts';

/** A secret key to sign with, from an armoured file. Throws ACI_KEY. */
export async function readSigningKey(bytes: Uint8Array, where: string, passphrase: string | undefined): Promise<PrivateKey> {
  const { readPrivateKey, decryptKey } = await loadOpenPgp();
  const armoredKey = armourOf(bytes, 'PGP PRIVATE KEY BLOCK', where);
  let key: PrivateKey;
  try {
    key = await readPrivateKey({ armoredKey });
  } catch (cause) {
    throw new VmmError('ACI_KEY', `${where}: is no OpenPGP key: ${(cause as Error).message}`, { cause, hint: 'export it with `gpg --armor --export-secret-keys`' });
  }
  const signing = await key.getSigningKey().catch((cause: Error) => {
    throw new VmmError('ACI_KEY', `${where}: cannot sign: ${cause.message}`, { cause, hint: 'has it expired, or been revoked?' });
  });
  const { algorithm, bits } = signing.getAlgorithmInfo();
  // rkt's OpenPGP library (golang.org/x/crypto of 2017) knows RSA, DSA and ECDSA: an EdDSA signature would be worthless to its users.
  if (!algorithm.startsWith('rsa')) throw new VmmError('ACI_KEY', `${where}: is a key for ${algorithm}, which rkt cannot verify`, { hint: 'sign with RSA: `gpg --quick-gen-key NAME rsa4096 sign`' });
  if ((bits ?? 0) < 2048) throw new VmmError('ACI_KEY', `${where}: is RSA of ${bits} bits; nobody should trust less than 2048`, { hint: 'make a new key' });
  if (key.isDecrypted()) return key;
  if (passphrase === undefined) throw new VmmError('ACI_KEY', `${where}: is locked by a passphrase`, { hint: 'give --passphrase-file' });
  try {
    return await decryptKey({ privateKey: key, passphrase });
  } catch {
    // The cause is not kept: it knows the passphrase.
    throw new VmmError('ACI_KEY', `${where}: the passphrase does not open it`, { hint: 'check --passphrase-file' });
  }
}

/** An armoured detached signature of a file, by RSA and SHA-512. The same file, key and time give the same bytes. */
export async function signFile(file: string, key: PrivateKey, date: Date): Promise<string> {
  const { SignaturePacket, PacketList, Signature, enums, config } = await loadOpenPgp();
  const { keyPacket } = await key.getSigningKey(undefined, date);
  return withFile(openRegular(file), async (fd) => {
    const packet = new SignaturePacket();
    packet.signatureType = enums.signature.binary;
    packet.publicKeyAlgorithm = keyPacket.algorithm;
    packet.hashAlgorithm = enums.hash.sha512;
    await hashFile(packet, fd, file);
    const plain = { ...config, nonDeterministicSignaturesViaNotation: false, showVersion: false, showComment: false };
    await (packet.sign.bind(packet) as (...args: unknown[]) => Promise<void>)(keyPacket, new Uint8Array(0), date, true, plain);
    const list = new PacketList<InstanceType<typeof SignaturePacket>>();
    list.push(packet);
    return new Signature(list).armor(plain);
  });
}

/** The public half, armoured, as a trust store keeps it. */
export function publicHalf(key: PrivateKey): string {
  return key.toPublic().armor();
}
