import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';

/**
 * `sigstore` and `attestation`: as cosign attaches them by tag; `bundle`: Sigstore's bundles, of either; `simple`: OpenPGP simple signing, beside the
 * registry; `notation`: the Notary Project's.
 */
export type SignatureKind = 'sigstore' | 'attestation' | 'bundle' | 'simple' | 'notation';

/** A signature, or what was signed, with what stands beside it. */
export interface Attachment {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The signatures of an image. */
export interface Signatures {
  /** Those of a manifest. Throws NotKept where nobody can be asked, REGISTRY_*. */
  of(kind: SignatureKind, digest: string): Promise<readonly Attachment[]>;
}

/** Is told who signed what met a requirement. */
export type Met = (by: string) => void;

/** Only a registry could tell. */
export class NotKept extends Error {}

/** Largest note of kept signatures, bytes; images with more are asked about again. */
const NOTE_MAX = 2 << 20;

/** Signatures as they were found, which are asked for once. */
export class FoundSignatures implements Signatures {
  readonly #ask: (kind: SignatureKind, digest: string) => Promise<readonly Attachment[]>;
  readonly #found = new Map<string, Promise<readonly Attachment[]>>();

  constructor(ask: (kind: SignatureKind, digest: string) => Promise<readonly Attachment[]>) {
    this.#ask = ask;
  }

  of(kind: SignatureKind, digest: string): Promise<readonly Attachment[]> {
    const key = `${kind} ${digest}`;
    let found = this.#found.get(key);
    if (found === undefined) {
      found = this.#ask(kind, digest);
      this.#found.set(key, found);
    }
    return found;
  }

  /** All of them as the store keeps them, with the digests that they are looked for by; undefined when none was asked for, or they are too many. */
  async note(digests: readonly string[]): Promise<string | undefined> {
    if (this.#found.size === 0) return undefined;
    const found = [];
    for (const [key, list] of this.#found) found.push([key, (await list).map(({ bytes, mediaType, annotations }) => ({ bytes: Buffer.from(bytes).toString('base64'), mediaType, annotations }))]);
    const note = JSON.stringify({ digests, found: Object.fromEntries(found) });
    return note.length > NOTE_MAX ? undefined : note;
  }
}

/** What a note has. */
export interface KeptSignatures {
  readonly digests: readonly string[];
  readonly signatures: Signatures;
}

/** Reads a note; undefined for none. */
export function keptSignatures(note: string): KeptSignatures | undefined {
  if (note === '') return undefined;
  try {
    const document = JsonObject.parse(Buffer.from(note), 'signatures');
    const found = document.object('found');
    const of = async (kind: SignatureKind, digest: string): Promise<readonly Attachment[]> => {
      if (found?.has(`${kind} ${digest}`) !== true) throw new NotKept();
      return found.objects(`${kind} ${digest}`).map((entry) => ({ bytes: Buffer.from(entry.string('bytes'), 'base64'), mediaType: entry.string('mediaType'), annotations: annotationsOf(entry) }));
    };
    return { digests: document.strings('digests'), signatures: { of } };
  } catch (error) {
    if (error instanceof VmmError) return undefined;
    throw error;
  }
}

export function annotationsOf(entry: JsonObject): Record<string, string> {
  const object = entry.object('annotations');
  return Object.fromEntries(entry.keysOf('annotations').map((key) => [key, object?.optionalString(key) ?? '']));
}
