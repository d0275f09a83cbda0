import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { DebugStop, ResumeAction } from '../accel/debug-types.ts';
import { VmmError } from '../../base/errors.ts';
import type { MachineResult } from '../machine/result.ts';
import type { DebugMachine, MachineDebugger } from '../machine/debugger.ts';
import { type GdbAddress, targetOf } from './address.ts';
import { GdbSession } from './session.ts';

export interface GdbOptions {
  readonly address: GdbAddress;
  /** The guest stands before its first instruction until a debugger lets it go. */
  readonly wait: boolean;
  readonly canReset: boolean;
}

/** Bytes that may wait for a client that does not read before it is cut off. */
const UNSENT_MAX = 4 << 20;

/** The debugger of one machine: listens, and serves one gdb at a time. */
export class GdbServer implements MachineDebugger, AsyncDisposable {
  readonly #options: GdbOptions;
  readonly #server: Server;
  #machine: DebugMachine | undefined;
  #session: GdbSession | undefined;
  #socket: Socket | undefined;
  /** With `wait`: no debugger has let the guest go yet. */
  #untouched: boolean;
  #address: GdbAddress;

  private constructor(options: GdbOptions) {
    this.#options = options;
    this.#address = options.address;
    this.#untouched = options.wait;
    this.#server = createServer({ noDelay: true }, (socket) => void this.#connected(socket));
  }

  /** Listens. Throws GDB_ADDRESS when the address cannot be had. */
  static async listen(options: GdbOptions): Promise<GdbServer> {
    const server = new GdbServer(options);
    await server.#listen();
    return server;
  }

  /** The address for gdb's `target remote`, with the port that was chosen for 0. */
  get target(): string {
    return targetOf(this.#address);
  }

  async #listen(): Promise<void> {
    const { address } = this.#options;
    if (address.kind === 'unix') {
      // Node says EACCES for it.
      if (!existsSync(dirname(address.path))) throw new VmmError('GDB_ADDRESS', `--gdb: there is no folder ${dirname(address.path)}`, { hint: 'make it, or choose another path' });
      await removeStale(address.path);
    }
    // Only this user may connect.
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        if (address.kind === 'unix') this.#server.listen(address.path, resolve);
        else this.#server.listen({ host: address.host, port: address.port, exclusive: true }, resolve);
      });
    } catch (cause) {
      throw new VmmError('GDB_ADDRESS', `--gdb: ${targetOf(address)} cannot be listened at: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`, { cause, hint: 'choose another address' });
    } finally {
      process.umask(mask);
    }
    this.#server.on('error', () => {});
    if (address.kind === 'tcp') this.#address = { ...address, port: (this.#server.address() as AddressInfo).port };
  }

  attach(machine: DebugMachine): void {
    this.#machine = machine;
    if (this.#session !== undefined) this.#session.attach(machine);
    else if (!this.#untouched) machine.resume(new Array<ResumeAction>(machine.cpus).fill('run'));
  }

  stopped(stop: DebugStop): void {
    void this.#session?.stopped(stop);
  }

  ended(result: MachineResult, again: boolean): void {
    this.#machine = undefined;
    this.#session?.ended(result, again);
  }

  async #connected(socket: Socket): Promise<void> {
    socket.on('error', () => socket.destroy());
    if (this.#session !== undefined) {
      socket.destroy();
      return;
    }
    const session = new GdbSession({
      send: (bytes) => {
        if (socket.writableLength > UNSENT_MAX) socket.destroy();
        else socket.write(bytes);
      },
      close: () => socket.end(() => socket.destroySoon()),
      canReset: this.#options.canReset,
    });
    this.#session = session;
    this.#socket = socket;
    socket.once('close', () => void this.#gone(session));
    if (this.#machine !== undefined) session.attach(this.#machine);
    // Nothing is read before the guest stands.
    await session.begin();
    socket.on('data', (bytes: Buffer) => session.feed(bytes));
  }

  async #gone(session: GdbSession): Promise<void> {
    this.#untouched = false;
    await session.finish();
    if (this.#session === session) {
      this.#session = undefined;
      this.#socket = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.destroySoon();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const socket = this.#socket;
    if (socket !== undefined) setTimeout(() => socket.destroy(), 200).unref();
    await closed;
  }
}

/** A socket file that nobody listens at is removed; anything else stays, and listening will fail. */
async function removeStale(path: string): Promise<void> {
  let socket: boolean;
  try {
    socket = lstatSync(path).isSocket();
  } catch {
    return;
  }
  if (!socket) throw new VmmError('GDB_ADDRESS', `--gdb: ${path} exists and is not a socket`, { hint: 'choose another path' });
  const dead = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (dead) unlinkSync(path);
}
