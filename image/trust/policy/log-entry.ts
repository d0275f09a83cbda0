import { createHash } from 'node:crypto';
import { JsonObject } from '../../documents/json.ts';

/** What an entry of a transparency log has to be about. */
export interface Logged {
  /** What was signed, or the DSSE envelope that holds it. */
  readonly bytes: Uint8Array;
  /** Of an envelope: what is in it. */
  readonly payload?: Uint8Array;
  readonly signature: Buffer;
  /** PEM of the key or certificate. */
  readonly key: string | undefined;
}

/**
 * Whether an entry of Rekor's names a signature and its key: `hashedrekord` 0.0.1 for a message, `intoto` 0.0.1 and 0.0.2 and `dsse` 0.0.1 for an
 * envelope (rekor, pkg/types). Throws IMAGE_BAD for what is none.
 */
export function namesSignature(entry: Buffer, logged: Logged): boolean {
  const document = JsonObject.parse(entry, 'entry');
  const spec = document.object('spec');
  if (spec === undefined) return false;
  const kind = `${document.string('kind')} ${document.string('apiVersion')}`;
  if (logged.payload === undefined) return kind === 'hashedrekord 0.0.1' && namesMessage(spec, logged);
  const envelope = { ...logged, payload: logged.payload };
  switch (kind) {
    case 'intoto 0.0.1':
      return isHash(spec.object('content')?.object('hash'), logged.bytes) && isPem(spec.optionalString('publicKey'), logged.key);
    case 'intoto 0.0.2':
      return namesEnvelope(spec.object('content')?.object('payloadHash'), spec.object('content')?.object('envelope'), 'sig', 'publicKey', envelope);
    case 'dsse 0.0.1':
      return namesEnvelope(spec.object('payloadHash'), spec, 'signature', 'verifier', envelope);
    default:
      return false;
  }
}

function namesMessage(spec: JsonObject, { bytes, signature, key }: Logged): boolean {
  const signed = spec.object('signature');
  return isHash(spec.object('data')?.object('hash'), bytes) && isSignature(signed?.optionalString('content'), signature) && isPem(signed?.object('publicKey')?.optionalString('content'), key);
}

function namesEnvelope(hash: JsonObject | undefined, list: JsonObject | undefined, signatureField: string, keyField: string, { payload, signature, key }: Logged & { payload: Uint8Array }): boolean {
  return isHash(hash, payload) && (list?.objects('signatures') ?? []).some((one) => isSignature(one.optionalString(signatureField), signature) && isPem(one.optionalString(keyField), key));
}

function isHash(hash: JsonObject | undefined, bytes: Uint8Array): boolean {
  return hash?.string('algorithm') === 'sha256' && hash.string('value') === createHash('sha256').update(bytes).digest('hex');
}

/** `intoto` 0.0.2 has its signatures in base64 twice. */
function isSignature(text: string | undefined, signature: Buffer): boolean {
  const once = Buffer.from(text ?? '', 'base64');
  return signature.length > 0 && (once.equals(signature) || Buffer.from(once.toString('latin1'), 'base64').equals(signature));
}

function isPem(text: string | undefined, key: string | undefined): boolean {
  const bare = (pem: string): string => pem.replace(/\s+/g, '');
  return key !== undefined && bare(key) !== '' && bare(Buffer.from(text ?? '', 'base64').toString('latin1')) === bare(key);
}
