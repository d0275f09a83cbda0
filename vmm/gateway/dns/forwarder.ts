/** The guest's questions, handed on as they are to the servers of the host's, and their answers back. */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { put16 } from '../link/wire.ts';
import { emptyAnswer, isQuery, parseQuestion, type Question, RCODE_REFUSED, RCODE_SERVFAIL, TYPE_AAAA } from './message.ts';

/** A server of names of the host's. */
export interface NameServer {
  readonly address: string;
  readonly port: number;
}

/** What a policy has to say to names. */
export interface NamePolicy {
  /** May it be asked for? */
  asks(name: string): boolean;
  /** Looks at an answer, and hides what the guest is not to see. False: it makes no sense. */
  answered(bytes: Uint8Array, question: Question): boolean;
}

export interface ForwarderConfig {
  readonly servers: readonly NameServer[];
  /** The guest has a way out by IPv6. */
  readonly v6: boolean;
  readonly policy: NamePolicy;
}

const PENDING_MAX = 256;
const TRY_MS = 2000;
const ROUNDS = 2;
const MESSAGE_MAX = 65_535;

type Answer = (bytes: Uint8Array) => void;

export class Forwarder {
  readonly #config: ForwarderConfig;
  readonly #pending = new Set<{ end(): void }>();
  readonly counters = { asked: 0, answered: 0, failed: 0, crowded: 0, refused: 0 };

  constructor(config: ForwarderConfig) {
    this.#config = config;
  }

  /** Answers a query, once. False: it makes no sense, and has no answer. `stream`: it came by TCP. */
  ask(query: Uint8Array, stream: boolean, answer: Answer): boolean {
    const question = parseQuestion(query);
    if (question === undefined || !isQuery(question)) return false;
    this.counters.asked++;
    if (!this.#config.policy.asks(question.name)) {
      this.counters.refused++;
      answer(emptyAnswer(query, question, RCODE_REFUSED));
    } else if (question.type === TYPE_AAAA && !this.#config.v6) answer(emptyAnswer(query, question, 0));
    else if (this.#config.servers.length === 0 || this.#pending.size >= PENDING_MAX) {
      this.counters.crowded++;
      answer(emptyAnswer(query, question, RCODE_SERVFAIL));
    } else this.#forward(query, question, stream, answer);
    return true;
  }

  #forward(query: Uint8Array, question: Question, stream: boolean, answer: Answer): void {
    const { servers, policy } = this.#config;
    // Another id than the guest's, so that nobody but the server can know it.
    const id = randomInt(0x10000);
    const message = Buffer.from(query);
    put16(message, 0, id);
    let turn = 0;
    let attempt: { end(): void } | undefined;
    const work = { end: () => attempt?.end() };
    const done = (bytes: Uint8Array): void => {
      work.end();
      this.#pending.delete(work);
      answer(bytes);
    };
    const next = (): void => {
      attempt?.end();
      const server = servers[turn % servers.length];
      if (server === undefined || turn++ >= servers.length * ROUNDS) {
        this.counters.failed++;
        done(emptyAnswer(query, question, RCODE_SERVFAIL));
        return;
      }
      const events = {
        answer: (bytes: Uint8Array): void => {
          const theirs = parseQuestion(bytes);
          // What answers something else is not the server's.
          if (theirs === undefined || isQuery(theirs) || theirs.id !== id || theirs.name !== question.name || theirs.type !== question.type) return;
          const own = Uint8Array.from(bytes);
          if (!policy.answered(own, theirs)) return;
          put16(own, 0, question.id);
          this.counters.answered++;
          done(own);
        },
        failed: next,
      };
      attempt = stream ? new StreamAttempt(server, message, events) : new DatagramAttempt(server, message, events);
    };
    this.#pending.add(work);
    next();
  }

  close(): void {
    for (const work of this.#pending) work.end();
    this.#pending.clear();
  }
}

interface AttemptEvents {
  answer(bytes: Uint8Array): void;
  failed(): void;
}

/** A question to one server, by a port of its own. */
class DatagramAttempt {
  readonly #socket: UdpSocket;
  readonly #timer: NodeJS.Timeout;
  #over = false;

  constructor({ address, port }: NameServer, message: Uint8Array, events: AttemptEvents) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4').unref();
    this.#socket = socket;
    const failed = (): void => {
      if (!this.#over) events.failed();
    };
    this.#timer = setTimeout(failed, TRY_MS).unref();
    socket.on('error', failed);
    socket.on('message', (bytes) => this.#over || events.answer(bytes));
    socket.connect(port, address, (error?: Error) => {
      if (this.#over) return;
      if (error !== undefined) failed();
      else socket.send(message, (problem) => problem !== null && failed());
    });
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.close();
  }
}

/** The same by TCP: the message has its length before it (RFC 1035 4.2.2). */
class StreamAttempt {
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  readonly #timer: NodeJS.Timeout;
  #over = false;

  constructor({ address, port }: NameServer, message: Uint8Array, events: AttemptEvents) {
    const socket = connect({ host: address, port }).unref();
    this.#socket = socket;
    const failed = (): void => {
      if (!this.#over) events.failed();
    };
    // Of the whole answer: one that trickles in would hold its place for ever.
    this.#timer = setTimeout(failed, TRY_MS).unref();
    socket.on('error', failed);
    socket.on('end', failed);
    socket.on('data', (bytes) => {
      for (const one of this.#reader.add(bytes)) if (!this.#over) events.answer(one);
    });
    socket.write(withLength(message));
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }
}

export function withLength(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2 + message.length);
  put16(bytes, 0, message.length);
  bytes.set(message, 2);
  return bytes;
}

/** Messages cut out of a stream: what it holds is one of them at most. */
export class MessageReader {
  #bytes: Buffer = Buffer.alloc(0);

  add(bytes: Uint8Array): Uint8Array[] {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    const out: Uint8Array[] = [];
    while (this.#bytes.length >= 2) {
      const end = 2 + this.#bytes.readUInt16BE();
      if (this.#bytes.length < end) break;
      out.push(Uint8Array.from(this.#bytes.subarray(2, end)));
      this.#bytes = this.#bytes.subarray(end);
    }
    return out;
  }

  /** Bytes of a message that is not whole. */
  get waiting(): number {
    return Math.min(this.#bytes.length, MESSAGE_MAX);
  }
}
