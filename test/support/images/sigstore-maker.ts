/** A Sigstore of our own: authority, its log of certificates, transparency log and timestamp authority are those of @sigstore/mock; bundles are put together by @sigstore/bundle. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { bundleToJSON, toDSSEBundle } from '@sigstore/bundle';
import { dsse } from '@sigstore/core';
import { initializeCA, initializeCTLog, initializeTLog, initializeTSA } from '@sigstore/mock';

type Json = Record<string, unknown>;
type Pair = ReturnType<typeof pair>;

export const ISSUER = 'https://token.example';
export const WORKFLOW = 'https://example.com/owner/repository/.github/workflows/release.yml@refs/tags/v1';
export const IN_TOTO = 'application/vnd.in-toto+json';

export const pair = (): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const sha256 = (bytes: string | Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const base64 = (bytes: ArrayBufferView | string): string => (typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toString('base64');
const der = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
export const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
const pemOf = (certificate: ArrayBufferView): string => `-----BEGIN CERTIFICATE-----\n${base64(certificate).replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;

/** In whole seconds: @sigstore/core 4.0.1 reads no time with one or two digits behind the point, which @sigstore/mock writes one time in ten. */
export const soon = (): Date => new Date(Math.floor(Date.now() / 1000) * 1000 + 2000);

export function statement(digest: string, predicateType: string, more: Json = {}): Buffer {
  const [algorithm = '', hex = ''] = digest.split(':');
  return Buffer.from(JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject: [{ digest: { [algorithm]: hex } }], predicateType, predicate: {}, ...more }));
}

export interface BundleOptions {
  /** Signs with it, by key; else with a certificate for the workflow. */
  readonly key?: Pair;
  readonly payloadType?: string;
  readonly issuer?: string;
  readonly workflow?: string;
  /** Who vouches for the time: the log with its promise, or an authority; `proof`: the log without a promise. */
  readonly witness?: 'log' | 'proof' | 'tsa' | 'nobody' | 'both';
  /** When it was signed, by those who vouch for it. */
  readonly time?: Date;
  /** Changes the bundle once all is signed. */
  readonly change?: (bundle: Made) => void;
}

export interface Made {
  mediaType: string;
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
  verificationMaterial: { certificate?: { rawBytes: string }; publicKey?: Json; tlogEntries: Json[]; timestampVerificationData: { rfc3161Timestamps: Json[] } };
}

export class MadeSigstore {
  readonly #authority = pair();
  readonly #log = pair();
  readonly #certificates = pair();
  readonly #timestamps = generateKeyPairSync('ec', { namedCurve: 'P-384' });

  async certificate(key: KeyObject, { issuer = ISSUER, workflow = WORKFLOW }: Pick<BundleOptions, 'issuer' | 'workflow'> = {}, logged = true): Promise<{ der: Buffer; pem: string }> {
    const ca = await initializeCA(this.#authority, logged ? await initializeCTLog(this.#certificates) : undefined);
    const made = await ca.issueCertificate({ publicKey: new Uint8Array(der(key)), subjectAltName: workflow, extensions: [{ oid: '1.3.6.1.4.1.57264.1.8', value: issuer }] });
    return { der: Buffer.from(base64(made), 'base64'), pem: pemOf(made) };
  }

  /** A transparency log's answer. */
  async entry(proposed: object, time = new Date()): Promise<{ body: string; integratedTime: number; logID: string; logIndex: number; verification: { signedEntryTimestamp: string; inclusionProof: Json & { logIndex: number; treeSize: number; rootHash: string; checkpoint: string } } }> {
    const log = await initializeTLog('https://rekor.example', this.#log, time);
    return Object.values(await log.log(proposed))[0] as never;
  }

  async bundle(payload: Buffer, { key, payloadType = IN_TOTO, witness = 'log', time = soon(), change = () => {}, ...who }: BundleOptions = {}): Promise<Buffer> {
    const signer = key ?? pair();
    const certificate = key === undefined ? await this.certificate(signer.publicKey, who) : undefined;
    const signature = sign('sha256', dsse.preAuthEncoding(payloadType, payload), signer.privateKey);
    const made = bundleToJSON(toDSSEBundle({ artifact: payload, artifactType: payloadType, signature, ...(certificate === undefined ? { keyHint: 'hint' } : { certificate: certificate.der }) } as never)) as unknown as Made;
    const verifier = base64(certificate?.pem ?? pem(signer.publicKey));
    if (witness === 'log' || witness === 'proof' || witness === 'both') {
      const hash = { algorithm: 'sha256', value: sha256(payload).toString('hex') };
      const entry = await this.entry({ apiVersion: '0.0.1', kind: 'dsse', spec: { envelopeHash: hash, payloadHash: hash, signatures: [{ signature: signature.toString('base64'), verifier }] } }, time);
      const { inclusionProof: proof, signedEntryTimestamp } = entry.verification;
      made.verificationMaterial.tlogEntries = [{
        logIndex: String(entry.logIndex), logId: { keyId: Buffer.from(entry.logID, 'hex').toString('base64') }, kindVersion: { kind: 'dsse', version: '0.0.1' }, integratedTime: String(entry.integratedTime),
        ...(witness === 'proof' ? {} : { inclusionPromise: { signedEntryTimestamp } }), canonicalizedBody: entry.body,
        inclusionProof: { logIndex: String(proof.logIndex), treeSize: String(proof.treeSize), rootHash: Buffer.from(proof.rootHash, 'hex').toString('base64'), hashes: [], checkpoint: { envelope: proof.checkpoint } },
      }];
    }
    if (witness === 'tsa' || witness === 'both') {
      const stamp = await (await initializeTSA(this.#timestamps, time)).timestamp({ artifactHash: sha256(signature), hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', nonce: 1, policyOID: '1.2.3.4' });
      made.verificationMaterial.timestampVerificationData = { rfc3161Timestamps: [{ signedTimestamp: base64(stamp) }] };
    }
    change(made);
    return Buffer.from(JSON.stringify(made));
  }

  /** trusted_root.json. `without`: fields that it has not. */
  async trustedRoot(without: readonly string[] = [], change: (root: Json) => void = () => {}): Promise<Json> {
    const ca = await initializeCA(this.#authority);
    const tsa = await initializeTSA(this.#timestamps);
    const log = (key: KeyObject): Json => ({ baseUrl: 'https://rekor.example', hashAlgorithm: 'SHA2_256', publicKey: { rawBytes: der(key).toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor: { start: '2020-01-01T00:00:00Z' } }, logId: { keyId: sha256(der(key)).toString('base64') } });
    const authority = (...certificates: ArrayBufferView[]): Json => ({ subject: { commonName: 'x' }, uri: 'https://x', certChain: { certificates: certificates.map((bytes) => ({ rawBytes: base64(bytes) })) }, validFor: { start: '2020-01-01T00:00:00Z' } });
    const root: Json = {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [log(this.#log.publicKey)], ctlogs: [log(this.#certificates.publicKey)],
      certificateAuthorities: [authority(ca.rootCertificate)], timestampAuthorities: [authority(tsa.intCertificate, tsa.rootCertificate)],
    };
    for (const field of without) root[field] = [];
    change(root);
    return root;
  }

  async authorityPem(): Promise<string> {
    return pemOf((await initializeCA(this.#authority)).rootCertificate);
  }

  get logPem(): string {
    return pem(this.#log.publicKey);
  }
}
