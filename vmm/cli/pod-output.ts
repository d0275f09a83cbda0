import type { Session } from './session.ts';

/** What of a line is kept until its end comes; a longer one is given out in parts. */
const LINE_MAX = 64 << 10;
const NEWLINE = 10;

/**
 * The apps' output on our own streams. That of a single app is passed on as it comes; with several each line has its app's name before it, as
 * `docker compose` has it, and a line is given out whole.
 */
export class PodOutput {
  readonly #session: Pick<Session, 'stdout' | 'stderr'>;
  readonly #prefixes: ReadonlyMap<string, Buffer>;
  readonly #begun = new Map<string, { readonly app: string; readonly stream: 'stdout' | 'stderr'; bytes: Buffer }>();

  constructor(apps: readonly string[], session: Pick<Session, 'stdout' | 'stderr'>) {
    const width = Math.max(...apps.map((name) => name.length));
    this.#session = session;
    this.#prefixes = new Map(apps.length < 2 ? [] : apps.map((name) => [name, Buffer.from(`${name.padEnd(width)} | `)]));
  }

  put(app: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> | void {
    const prefix = this.#prefixes.get(app);
    if (prefix === undefined) return this.#session[stream](bytes);
    const key = `${app} ${stream}`;
    const text = Buffer.concat([this.#begun.get(key)?.bytes ?? Buffer.alloc(0), bytes]);
    const parts: Buffer[] = [];
    let at = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, at)) {
      parts.push(prefix, text.subarray(at, end + 1));
      at = end + 1;
    }
    for (; text.length - at >= LINE_MAX; at += LINE_MAX) parts.push(prefix, text.subarray(at, at + LINE_MAX), Buffer.from('\n'));
    this.#begun.set(key, { app, stream, bytes: text.subarray(at) });
    return parts.length === 0 ? undefined : this.#session[stream](Buffer.concat(parts));
  }

  /** Gives out the lines that never ended. */
  async end(): Promise<void> {
    for (const { app, stream, bytes } of this.#begun.values()) {
      if (bytes.length > 0) await this.#session[stream](Buffer.concat([this.#prefixes.get(app) as Buffer, bytes, Buffer.from('\n')]));
    }
    this.#begun.clear();
  }
}
