/** Apps whose streams clients of `attach` can have, and those clients (rkt-stage1 "Attach/iottymux conventions"). */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { ProcessHandle } from '../../vmm/api/containers.ts';
import { Failure, oneLine } from '../common/failure.ts';
import { EXIT, frame, number32, STDERR, STDOUT } from '../control/frames.ts';
import type { Streams } from './plan.ts';
import { S1 } from './pod-files.ts';
import { sent } from '../../vmm/api/frames.ts';

/** What a client takes part in. */
export interface Wanted {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

interface Client {
  readonly socket: Socket;
  readonly wanted: Wanted;
}

export class Attachments {
  readonly #streams = new Map<string, Streams>();
  readonly #commands = new Map<string, ProcessHandle>();
  readonly #clients = new Map<string, Set<Client>>();

  /** Writes the app's endpoints, where it has any. */
  add(app: string, streams: Streams): void {
    this.#streams.set(app, streams);
    const names = streams.stdin === 'tty' ? ['tty'] : (['stdin', 'stdout', 'stderr'] as const).filter((name) => streams[name] === 'stream');
    if (names.length === 0) return;
    const folder = join(S1, 'rkt/iottymux', app);
    mkdirSync(folder, { recursive: true });
    const targets = names.map((name) => ({ name, domain: 'unix', address: `/rkt/iottymux/${app}/sock-${name}` }));
    writeFileSync(join(folder, 'endpoints'), JSON.stringify({ version: 1, targets }), { mode: 0o644 });
  }

  started(app: string, command: ProcessHandle): void {
    this.#commands.set(app, command);
  }

  /** Its clients end with it, with 0: what the app ended with is not theirs. */
  ended(app: string): void {
    this.#commands.delete(app);
    for (const { socket } of this.#clients.get(app) ?? []) socket.end(frame(EXIT, number32(0)));
    this.#clients.delete(app);
  }

  /** To each client that wants it; resolves when all have taken it, or are gone. */
  async output(app: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
    const kind = stream === 'stdout' ? STDOUT : STDERR;
    const waiting = [...(this.#clients.get(app) ?? [])].filter(({ wanted }) => wanted[stream]).map(({ socket }) => sent(socket, frame(kind, bytes)));
    await Promise.all(waiting);
  }

  /** The command that a client's input goes to. Throws Failure where the app is not for that. */
  attach(app: string, asked: Wanted, socket: Socket): ProcessHandle | undefined {
    const streams = this.#streams.get(app);
    const command = this.#commands.get(app);
    if (streams === undefined || command === undefined) throw new Failure(`app ${oneLine(app)} does not run`);
    const tty = streams.stdin === 'tty';
    for (const name of ['stdin', 'stdout', 'stderr'] as const) {
      if (asked[name] && streams[name] !== 'stream' && !(tty && name !== 'stderr')) throw new Failure(`app ${oneLine(app)}: its ${name} cannot be attached to: it is ${streams[name]}`);
    }
    const client: Client = { socket, wanted: asked };
    const clients = this.#clients.get(app) ?? new Set();
    this.#clients.set(app, clients.add(client));
    socket.once('close', () => clients.delete(client));
    return asked.stdin ? command : undefined;
  }
}
