/** DNS messages (RFC 1035 4), as far as a forwarder looks into them. */
import { get16, get32, put16 } from '../link/wire.ts';

const DNS_HEADER = 12;
const TYPE_A = 1;
const TYPE_CNAME = 5;
export const TYPE_AAAA = 28;
export const RCODE_SERVFAIL = 2;
export const RCODE_REFUSED = 5;
const CLASS_IN = 1;
const QR = 0x8000;
const RD = 0x0100;
const RA = 0x0080;
const NAME_MAX = 255;
const POINTERS_MAX = 64;
/** For private use (RFC 6895 3.1): a record that nobody reads. */
const TYPE_HIDDEN = 65_280;

export interface Question {
  readonly id: number;
  readonly flags: number;
  /** In lower case, without the last dot; what is no letter, digit, - or _ as \DDD. */
  readonly name: string;
  readonly type: number;
  readonly end: number;
}

/** The question of a message with one; undefined: it makes no sense. */
export function parseQuestion(bytes: Uint8Array): Question | undefined {
  if (bytes.length < DNS_HEADER || get16(bytes, 4) !== 1) return undefined;
  const name = readName(bytes, DNS_HEADER);
  if (name === undefined || name.end + 4 > bytes.length) return undefined;
  return { id: get16(bytes, 0), flags: get16(bytes, 2), name: name.text, type: get16(bytes, name.end), end: name.end + 4 };
}

export function isQuery({ flags }: Question): boolean {
  return (flags & QR) === 0;
}

function readName(bytes: Uint8Array, start: number): { text: string; end: number } | undefined {
  const labels: string[] = [];
  let [at, end, length, pointers] = [start, -1, 0, 0];
  for (;;) {
    const size = bytes[at];
    if (size === undefined) return undefined;
    if (size >= 0xc0) {
      if (at + 1 >= bytes.length) return undefined;
      if (end < 0) end = at + 2;
      const to = get16(bytes, at) & 0x3fff;
      // Pointers lead back (4.1.4), so that they end.
      if (to >= at || ++pointers > POINTERS_MAX) return undefined;
      at = to;
      continue;
    }
    if (size > 63 || at + 1 + size > bytes.length) return undefined;
    if (size === 0) return { text: labels.join('.'), end: end < 0 ? at + 1 : end };
    length += size + 1;
    if (length > NAME_MAX) return undefined;
    labels.push(labelText(bytes.subarray(at + 1, at + 1 + size)));
    at += 1 + size;
  }
}

function labelText(label: Uint8Array): string {
  let text = '';
  for (const byte of label) {
    const char = String.fromCharCode(byte);
    text += /[\w-]/.test(char) ? char.toLowerCase() : `\\${byte.toString().padStart(3, '0')}`;
  }
  return text;
}

export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly ttl: number;
  /** An address's bytes, or the name that a CNAME leads to. */
  readonly address?: Uint8Array | undefined;
  readonly target?: string | undefined;
  /** Where it has its type, and its data. */
  readonly at: number;
  readonly data: number;
}

/** A message's answers; undefined: it makes no sense. */
export function parseAnswers(bytes: Uint8Array, question: Question): DnsRecord[] | undefined {
  const records: DnsRecord[] = [];
  let at = question.end;
  for (let count = get16(bytes, 6); count > 0; count--) {
    const name = readName(bytes, at);
    if (name === undefined || name.end + 10 > bytes.length) return undefined;
    const data = name.end + 10;
    const length = get16(bytes, name.end + 8);
    at = data + length;
    if (at > bytes.length) return undefined;
    const type = get16(bytes, name.end);
    if (get16(bytes, name.end + 2) !== CLASS_IN) continue;
    const address = (type === TYPE_A && length === 4) || (type === TYPE_AAAA && length === 16) ? bytes.slice(data, at) : undefined;
    const target = type === TYPE_CNAME ? readName(bytes, data)?.text : undefined;
    if (type === TYPE_CNAME && target === undefined) return undefined;
    records.push({ name: name.text, type, ttl: get32(bytes, name.end + 4), address, target, at: name.end, data });
  }
  return records;
}

/** Makes an address one that the guest does not see, in place. */
export function hideRecord(bytes: Uint8Array, { at, data, address }: DnsRecord): void {
  put16(bytes, at, TYPE_HIDDEN);
  bytes.fill(0, data, data + (address?.length ?? 0));
}

/** An answer without records. */
export function emptyAnswer(query: Uint8Array, { flags, end }: Question, rcode: number): Uint8Array {
  const answer = query.slice(0, end);
  put16(answer, 2, QR | RA | (flags & (RD | 0x7800)) | rcode);
  put16(answer, 4, 1);
  answer.fill(0, 6, DNS_HEADER);
  return answer;
}
