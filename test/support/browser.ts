/** Debian's Chromium, spoken to over DevTools' pipe (descriptors 3 and 4, JSON ended by NUL). */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { HANG_MS } from './limits.ts';

export const CHROMIUM = '/usr/bin/chromium';

type Fields = Readonly<Record<string, unknown>>;
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

export interface View {
  readonly width: number;
  readonly height: number;
  readonly dark: boolean;
}

/** A browser with one page. */
export class Browser {
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  /** Called for each event; gone when it gives true. */
  readonly #events = new Set<(message: Message) => boolean>();
  readonly #limit: NodeJS.Timeout;
  #id = 0;
  #session: string | undefined;
  /** What the page's console was told, and the browser's own complaints of the page. */
  readonly complaints: string[] = [];

  private constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'vmm-chromium-'));
    const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--remote-debugging-pipe', `--user-data-dir=${this.#dir}`, 'about:blank'];
    this.#child = spawn(CHROMIUM, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: this.#dir } });
    this.#limit = setTimeout(() => this.#child.kill('SIGKILL'), HANG_MS);
    let rest = '';
    (this.#child.stdio[4] as Readable).on('data', (bytes: Buffer) => {
      const parts = (rest + bytes.toString('utf8')).split('\0');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#take(JSON.parse(part) as Message);
    });
    this.#child.on('close', () => {
      for (const resolve of this.#waiting.values()) resolve({ error: { message: 'the browser has ended' } });
    });
  }

  static async open(): Promise<Browser> {
    const browser = new Browser();
    const { targetId } = (await browser.#call('Target.createTarget', { url: 'about:blank' })) as { targetId: string };
    const { sessionId } = (await browser.#call('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
    browser.#session = sessionId;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await browser.#call(`${domain}.enable`);
    return browser;
  }

  #take(message: Message): void {
    if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
      return;
    }
    if (message.method === 'Runtime.consoleAPICalled' || message.method === 'Runtime.exceptionThrown' || message.method === 'Log.entryAdded') this.complaints.push(JSON.stringify(message.params));
    if (message.method === 'Network.requestWillBeSent') {
      const { url } = (message.params as { request: { url: string } }).request;
      if (!url.startsWith('file:') && !url.startsWith('data:')) this.complaints.push(`a request to ${url}`);
    }
    for (const event of this.#events) if (event(message)) this.#events.delete(event);
  }

  async #call(method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.#id;
    const { promise: answer, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(id, resolve);
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...(this.#session === undefined ? {} : { sessionId: this.#session }) })}\0`);
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  /** Shows a file as `view` has it, and resolves once it is loaded. */
  async show(path: string, { width, height, dark }: View): Promise<void> {
    await this.#call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.#call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
    const loaded = new Promise<void>((resolve) => {
      this.#events.add(({ method }) => {
        if (method !== 'Page.loadEventFired') return false;
        resolve();
        return true;
      });
    });
    await this.#call('Page.navigate', { url: `file://${path}` });
    await loaded;
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result } = (await this.#call('Runtime.evaluate', { expression, returnByValue: true })) as { result: { value: T } };
    return result.value;
  }

  /** The whole page, as PNG. */
  async picture(path: string): Promise<void> {
    const { data } = (await this.#call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true })) as { data: string };
    writeFileSync(path, Buffer.from(data, 'base64'));
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
    clearTimeout(this.#limit);
    rmSync(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
