/** Which name a TLS client asks for (RFC 8446 4.1.2, RFC 6066 3), and a connection that is let through once it is a name of a rule. */
import type { HostEnd } from '../tcp/ends.ts';
import { get16 } from '../link/wire.ts';

/** More than this no ClientHello needs. */
const HELLO_MAX = 1 << 14;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
/** Its true name is hidden in it: draft-ietf-tls-esni. */
const ENCRYPTED_HELLO = 0xfe0d;
const RECORD_HEADER = 5;
const HANDSHAKE_HEADER = 4;

/** The name in the first bytes of a connection, in lower case; `more`: they are not all there yet; undefined: there is none, or what names it is hidden. */
export function serverName(bytes: Uint8Array): string | 'more' | undefined {
  const hello = helloOf(bytes);
  if (hello === 'more' || hello === undefined) return hello;
  // Version, random; then session, cipher suites and compression methods, each behind its length.
  let at = 2 + 32;
  at += 1 + (hello[at] ?? 0);
  if (at + 2 > hello.length) return undefined;
  at += 2 + get16(hello, at);
  at += 1 + (hello[at] ?? 0);
  if (at + 2 > hello.length) return undefined;
  const end = Math.min(hello.length, at + 2 + get16(hello, at));
  let name: string | undefined;
  for (at += 2; at + 4 <= end;) {
    const [type, length] = [get16(hello, at), get16(hello, at + 2)];
    at += 4;
    if (at + length > end || type === ENCRYPTED_HELLO) return undefined;
    if (type === SERVER_NAME) name = hostName(hello.subarray(at, at + length));
    at += length;
  }
  return name;
}

/** The body of a ClientHello, put together of records; the first of a list of names is the one that counts. */
function helloOf(bytes: Uint8Array): Uint8Array | 'more' | undefined {
  const parts: Uint8Array[] = [];
  let [have, wanted] = [0, HANDSHAKE_HEADER];
  for (let at = 0; have < wanted;) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE) return undefined;
    if (at + RECORD_HEADER > bytes.length) return 'more';
    const length = get16(bytes, at + 3);
    if (length === 0) return undefined;
    const part = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    parts.push(part);
    have += part.length;
    const head = Buffer.concat(parts).subarray(0, HANDSHAKE_HEADER);
    if (head.length > 0 && head[0] !== CLIENT_HELLO) return undefined;
    if (head.length === HANDSHAKE_HEADER) wanted = HANDSHAKE_HEADER + (((head[1] as number) << 16) | get16(head, 2));
    if (wanted > HELLO_MAX) return undefined;
    if (have < wanted && part.length < length) return 'more';
    at += RECORD_HEADER + length;
  }
  return Buffer.concat(parts).subarray(HANDSHAKE_HEADER, wanted);
}

/** Of a server_name extension: a list of types and names, of which type 0 is a host's. */
function hostName(list: Uint8Array): string | undefined {
  if (list.length < 5 || list[2] !== 0 || 5 + get16(list, 3) > list.length) return undefined;
  const text = Buffer.from(list.subarray(5, 5 + get16(list, 3))).toString('latin1').toLowerCase().replace(/\.$/, '');
  return /^[a-z0-9_.-]+$/.test(text) ? text : undefined;
}

export interface GateEvents {
  allows(name: string): boolean;
  /** It is not let through: who opened it hears of a reset. */
  denied(name: string | undefined): void;
}

/** Holds what the guest says until it is known whom to. */
export class NameGate implements HostEnd {
  readonly #inner: HostEnd;
  readonly #events: GateEvents;
  /** Undefined: it is through. */
  #held: Buffer | undefined = Buffer.alloc(0);

  constructor(inner: HostEnd, events: GateEvents) {
    this.#inner = inner;
    this.#events = events;
  }

  get waiting(): number {
    return this.#inner.waiting + (this.#held?.length ?? 0);
  }

  write(bytes: Uint8Array): void {
    if (this.#held === undefined) {
      this.#inner.write(bytes);
      return;
    }
    this.#held = Buffer.concat([this.#held, bytes]);
    const name = serverName(this.#held);
    if (name === 'more' && this.#held.length < 2 * HELLO_MAX) return;
    const held = this.#held;
    if (name === undefined || name === 'more' || !this.#events.allows(name)) {
      this.#events.denied(name === 'more' ? undefined : name);
      return;
    }
    this.#held = undefined;
    this.#inner.write(held);
  }

  end(): void {
    if (this.#held !== undefined && this.#held.length > 0) this.#events.denied(undefined);
    else this.#inner.end();
  }

  reset(): void {
    this.#inner.reset();
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }
}
