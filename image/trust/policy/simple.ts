import { VmmError } from '../../../base/errors.ts';
import { verifyMessage } from '../../appc/verify.ts';
import { loadOpenPgp, type Key } from '../../appc/openpgp.ts';
import { JsonObject } from '../../documents/json.ts';
import type { RegistryName } from '../../registry/name.ts';
import { type Identity, matches } from './identity.ts';
import type { Met, Signatures } from '../signatures.ts';

const TYPE = 'atomic container signature';
/** Of what was signed, unpacked. */
const PAYLOAD_MAX = 1 << 20;

/** Why no OpenPGP signature by one of the keys says that a manifest of these digests is the image of this name; undefined when one does. Throws as `Signatures`, TRUST_CONFIG. */
export async function simpleFault(signatures: Signatures, name: RegistryName, digests: readonly string[], keyrings: readonly Uint8Array[], identity: Identity, met: Met = () => {}): Promise<string | undefined> {
  const keys: Key[] = [];
  for (const ring of keyrings) keys.push(...(await readKeyring(ring)));
  let fault = 'it has no OpenPGP signature';
  for (const digest of new Set(digests)) {
    for (const { bytes } of await signatures.of('simple', digest)) {
      const why = await faultOf(bytes, keys, digest, name, identity, met);
      if (why === undefined) return undefined;
      fault = why;
    }
  }
  return fault;
}

/** Keys as gpg exports them, armoured or not, one or several. */
async function readKeyring(bytes: Uint8Array): Promise<Key[]> {
  const { readKeys } = await loadOpenPgp();
  try {
    const armoured = ((bytes[0] ?? 0) & 0x80) === 0;
    const keys = await (armoured ? readKeys({ armoredKeys: Buffer.from(bytes).toString('latin1') }) : readKeys({ binaryKeys: bytes }));
    return keys.map((key) => key.toPublic());
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `a key of the policy is no OpenPGP key: ${(cause as Error).message.slice(0, 200)}`, { cause, hint: 'export it with `gpg --export`' });
  }
}

async function faultOf(bytes: Uint8Array, keys: readonly Key[], digest: string, name: RegistryName, identity: Identity, met: Met): Promise<string | undefined> {
  try {
    const { data, fingerprint } = await verifyMessage(bytes, keys, PAYLOAD_MAX);
    const critical = JsonObject.parse(data, 'signature');
    const fields = critical.object('critical');
    // What is critical and not understood must not be passed over.
    if (fields === undefined || critical.keysOf('critical').some((key) => !['type', 'image', 'identity'].includes(key))) return 'what is signed cannot be read';
    if (fields.string('type') !== TYPE) return 'what is signed is no image';
    if (fields.object('image')?.string('docker-manifest-digest') !== digest) return `the signature is for another manifest than ${digest}`;
    const signed = fields.object('identity')?.string('docker-reference') ?? '';
    if (!matches(signed, name, identity)) return `it is signed as ${JSON.stringify(signed.slice(0, 200))}`;
    met(`the key ${fingerprint}, as ${signed}`);
    return undefined;
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    return error.code === 'IMAGE_BAD' ? 'what is signed cannot be read' : error.message;
  }
}
