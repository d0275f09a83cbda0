import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import { type Cbor, CborTag, decodeCbor, encodeStrings } from './cbor.ts';

export const JWS = 'application/jose+json';
export const COSE = 'application/cose';

/** A Notary Project signature (notaryproject/specifications, signature-envelope-jws.md and -cose.md), read but not verified. */
export interface Envelope {
  /** JWS's name of it: `PS256`, `ES384` … */
  readonly algorithm: string;
  readonly contentType: string;
  readonly scheme: string;
  /** Not to be believed with `notary.x509`. */
  readonly signingTime: Date;
  readonly expiry: Date | undefined;
  /** A plugin of Notation that has to verify it, by its name. */
  readonly plugin: string | undefined;
  /** A TimeStampToken (RFC 3161) of the signature. */
  readonly timestamp: Buffer | undefined;
  /** Headers that must be understood. */
  readonly critical: readonly string[];
  /** DER, the signer's first. */
  readonly chain: readonly Buffer[];
  readonly payload: Buffer;
  /** What the signature is of. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

const SCHEME = 'io.cncf.notary.signingScheme';
const SIGNING_TIME = 'io.cncf.notary.signingTime';
const AUTHENTIC_TIME = 'io.cncf.notary.authenticSigningTime';
const EXPIRY = 'io.cncf.notary.expiry';
const PLUGIN = 'io.cncf.notary.verificationPlugin';
const TIMESTAMP = 'io.cncf.notary.timestampSignature';
export const AUTHORITY_SCHEME = 'notary.x509.signingAuthority';
/** Headers that are understood here, so that they may be critical. */
export const UNDERSTOOD: readonly string[] = [SCHEME, AUTHENTIC_TIME, EXPIRY];

/** Reads an envelope; undefined for what is none. */
export function readEnvelope(bytes: Uint8Array, mediaType: string): Envelope | undefined {
  try {
    return mediaType === JWS ? readJws(bytes) : mediaType === COSE ? readCose(Buffer.from(bytes)) : undefined;
  } catch (error) {
    if (error instanceof VmmError || error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function readJws(bytes: Uint8Array): Envelope {
  const document = JsonObject.parse(bytes, 'envelope');
  const [payload, encoded, signature] = [document.string('payload'), document.string('protected'), document.string('signature')];
  const headers = JsonObject.parse(Buffer.from(encoded, 'base64url'), 'headers');
  const scheme = headers.string(SCHEME);
  const expiry = headers.optionalString(EXPIRY);
  const timestamp = document.object('header')?.optionalString(TIMESTAMP);
  return {
    algorithm: headers.string('alg'),
    contentType: headers.string('cty'),
    scheme,
    signingTime: dateOf(headers.string(scheme === AUTHORITY_SCHEME ? AUTHENTIC_TIME : SIGNING_TIME)),
    expiry: expiry === undefined ? undefined : dateOf(expiry),
    plugin: headers.optionalString(PLUGIN),
    timestamp: timestamp === undefined ? undefined : Buffer.from(timestamp, 'base64'),
    critical: headers.strings('crit'),
    chain: (document.object('header')?.strings('x5c') ?? []).map((text) => Buffer.from(text, 'base64')),
    payload: Buffer.from(payload, 'base64url'),
    signed: Buffer.from(`${encoded}.${payload}`, 'latin1'),
    signature: Buffer.from(signature, 'base64url'),
  };
}

function dateOf(text: string): Date {
  const date = new Date(/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(text) ? text : '');
  if (Number.isNaN(date.getTime())) throw new RangeError('no date');
  return date;
}

/** COSE's numbers of algorithms (RFC 9053, RFC 8230). */
const ALGORITHMS: Readonly<Record<number, string>> = { [-7]: 'ES256', [-35]: 'ES384', [-36]: 'ES512', [-37]: 'PS256', [-38]: 'PS384', [-39]: 'PS512' };
const X5CHAIN = 33;

function readCose(bytes: Buffer): Envelope {
  const tagged = decodeCbor(bytes);
  const parts = tagged instanceof CborTag && tagged.tag === 18 ? tagged.value : undefined;
  if (!Array.isArray(parts) || parts.length !== 4) throw new RangeError('no COSE_Sign1');
  const [body, unprotected, payload, signature] = parts as readonly Cbor[];
  if (!Buffer.isBuffer(body) || !(unprotected instanceof Map) || !Buffer.isBuffer(payload) || !Buffer.isBuffer(signature)) throw new RangeError('no COSE_Sign1');
  const headers = decodeCbor(body);
  if (!(headers instanceof Map)) throw new RangeError('no headers');
  const get = (key: Cbor): Cbor | undefined => headers.get(key) as Cbor | undefined;
  const chain: Cbor = (unprotected.get(X5CHAIN) ?? get(X5CHAIN) ?? []) as Cbor;
  const scheme = textOf(get(SCHEME));
  const timestamp = (unprotected as ReadonlyMap<Cbor, Cbor>).get(TIMESTAMP);
  if (timestamp !== undefined && !Buffer.isBuffer(timestamp)) throw new RangeError('no timestamp');
  return {
    algorithm: ALGORITHMS[Number(get(1))] ?? 'unknown',
    contentType: textOf(get(3)),
    scheme,
    signingTime: epochOf(get(scheme === AUTHORITY_SCHEME ? AUTHENTIC_TIME : SIGNING_TIME)),
    expiry: headers.has(EXPIRY) ? epochOf(get(EXPIRY)) : undefined,
    plugin: headers.has(PLUGIN) ? textOf(get(PLUGIN)) : undefined,
    timestamp,
    critical: listOf(get(2)).map(String),
    chain: listOf(chain).map((certificate) => {
      if (!Buffer.isBuffer(certificate)) throw new RangeError('no certificate');
      return certificate;
    }),
    payload,
    signed: encodeStrings(['Signature1', body, Buffer.alloc(0), payload]),
    signature,
  };
}

function textOf(value: Cbor | undefined): string {
  if (typeof value !== 'string') throw new RangeError('no text');
  return value;
}

function listOf(value: Cbor | undefined): readonly Cbor[] {
  if (!Array.isArray(value)) throw new RangeError('no list');
  return value as readonly Cbor[];
}

/** Tag 1: seconds since 1970 (RFC 8949, 3.4.2); tools of before write the bare number. */
function epochOf(value: Cbor | undefined): Date {
  const seconds = value instanceof CborTag && value.tag === 1 ? value.value : value;
  if (typeof seconds !== 'number' || Math.abs(seconds) > 8.64e12) throw new RangeError('no time');
  return new Date(seconds * 1000);
}
