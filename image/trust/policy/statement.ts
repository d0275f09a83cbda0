import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';

/** What is in a DSSE envelope. */
export interface Enveloped {
  readonly payloadType: string;
  readonly payload: Uint8Array;
}

/** What an in-toto statement says (in-toto/attestation, spec/v1/statement.md). */
export interface Statement {
  readonly predicateType: string;
  /** Names of the subjects of the digest that was asked for; empty ones are left out. */
  readonly names: readonly string[];
}

const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const TYPES = ['https://in-toto.io/Statement/v0.1', 'https://in-toto.io/Statement/v1'];

/** A statement about what has this digest, or why it is none. */
export function readStatement({ payloadType, payload }: Enveloped, digest: string): Statement | string {
  if (payloadType !== PAYLOAD_TYPE) return `what is signed is no statement, but ${JSON.stringify(payloadType.slice(0, 100))}`;
  try {
    const document = JsonObject.parse(payload, 'statement');
    if (!TYPES.includes(document.string('_type'))) return 'what is signed is a statement of a form that is not read';
    const [algorithm = '', hex = ''] = digest.split(':');
    const subjects = document.objects('subject').filter((subject) => subject.object('digest')?.optionalString(algorithm) === hex);
    if (subjects.length === 0) return `the signature is for another manifest than ${digest}`;
    return { predicateType: document.string('predicateType'), names: subjects.flatMap((subject) => subject.optionalString('name') || []) };
  } catch (error) {
    if (error instanceof VmmError) return 'what is signed cannot be read';
    throw error;
  }
}
