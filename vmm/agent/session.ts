import { VmmError } from '../../base/errors.ts';
import { monotonicMs } from '../../base/monotonic.ts';
import { randomBytes } from '../../base/random.ts';
import { type Change, encodeRaise } from './changes.ts';
import { AgentError, protocolError } from './errors.ts';
import { encodeListen, encodeNetwork, type ListenSpec, type NetworkConfig } from './network.ts';
import { type ExitReport, ProcessHandle } from './process.ts';
import * as P from './generated/protocol.ts';
import { type ContainerSpec, type Mount, MOUNT_CHANGE, type MountAction, type ProcessSpec, type SandboxSpec, type WindowSize, encodeExec, encodeMount, encodeMountChange, encodeSandbox, encodeStart, writeWindowSize } from './spec.ts';
import { StreamAcceptor } from './streams.ts';
import type { Listener, Stream, Transport } from './transport.ts';
import type { Field, Message } from './wire.ts';
import {
  encodeMessage,
  FieldWriter,
  isReply,
  MessageReader,
  rawTextOf,
  readFields,
  textOf,
  u32Of,
  u32sOf,
  u64sOf,
} from './wire.ts';

/** What the guest's HELLO tells. */
export interface GuestInfo {
  version: number;
  /** The build of init, e.g. its version. */
  build: string;
  /** Release of its kernel. */
  kernel: string;
  /** Nanoseconds between the kernel's start and init's connection. */
  bootNs: bigint;
}

export type PowerMode = 'poweroff' | 'reboot' | 'halt';

export interface SessionOptions {
  /** init gave up; the machine stops right after. */
  onFatal?: (reason: string) => void;
  onLog?: (text: string) => void;
  /** Nanoseconds since 1970, for the guest's clock; Date.now() when not given. */
  now?: () => bigint;
  /** Bytes for the token and the guest's entropy pool; the host's when not given. */
  random?: (length: number) => Uint8Array;
}

/** What a guest's clock may be off by is half of a way there and back. */
const CLOCK_WAY_MS = 2;
const CLOCK_ATTEMPTS = 20;
const SIGKILL = 9;

interface Pending {
  resolve: (fields: Field[]) => void;
  reject: (error: Error) => void;
}

const POWER: Record<PowerMode, number> = { poweroff: P.POWER_OFF, reboot: P.POWER_REBOOT, halt: P.POWER_HALT };

function find(fields: readonly Field[], tag: number): Field | undefined {
  return fields.find((field) => field.tag === tag);
}

function need(fields: readonly Field[], tag: number): Field {
  const field = find(fields, tag);
  if (field === undefined) throw protocolError(`field 0x${tag.toString(16)} is missing`);
  return field;
}

function pidOf(fields: readonly Field[]): number {
  const pid = find(fields, P.TAG_PID);
  return pid === undefined ? 0 : u32Of(pid);
}

function errorOf(fields: readonly Field[]): AgentError {
  const code = u32Of(need(fields, P.TAG_CODE));
  return new AgentError(code, u32Of(need(fields, P.TAG_ERRNO)) | 0, textOf(need(fields, P.TAG_TEXT)));
}

function exitReportOf(fields: readonly Field[]): ExitReport {
  const [kind, value = 0, flags = 0] = u32sOf(need(fields, P.TAG_STATUS), 3);
  const [stdoutBytes = 0n, stderrBytes = 0n] = u64sOf(need(fields, P.TAG_BYTES), 2);
  const usage = find(fields, P.TAG_USAGE);
  const [userUs = 0n, systemUs = 0n, maxRssBytes = 0n] = usage === undefined ? [] : u64sOf(usage, 3);
  const signaled = kind === P.STATUS_SIGNALED;
  return {
    stdoutBytes,
    stderrBytes,
    streams: u32Of(need(fields, P.TAG_STREAMS)),
    status: {
      code: signaled ? undefined : value & 0xff,
      signal: signaled ? value & 0x7f : undefined,
      coreDumped: (flags & P.STATUS_CORE) !== 0,
      outOfMemory: (flags & P.STATUS_OOM) !== 0,
      rootFull: (flags & P.STATUS_FULL) !== 0,
      status: signaled ? 128 + (value & 0x7f) : value & 0xff,
      usage: usage === undefined ? undefined : { userUs, systemUs, maxRssBytes },
    },
  };
}

/**
 * The host's half of the agent protocol (docs/agent-protocol.md): one guest, from its first
 * connection to its last. Nothing that the guest sends makes a method throw anything but a VmmError.
 */
export class AgentSession {
  readonly #options: SessionOptions;
  readonly #token: Uint8Array;
  readonly #listeners: Listener[] = [];
  readonly #streams: StreamAcceptor;
  readonly #processes = new Map<number, ProcessHandle>();
  readonly #takers = new Map<number, (stream: Stream) => void>();
  readonly #exiting = new Set<Promise<void>>();
  readonly #pending = new Map<number, Pending>();
  readonly #hello = Promise.withResolvers<GuestInfo>();
  readonly #connected = Promise.withResolvers<Stream>();
  readonly #closed = Promise.withResolvers<void>();
  #control: Stream | undefined;
  #failure: VmmError | undefined;
  #said = false;
  #nextId = 1;
  #nextContainer = 1;
  #nextProcess = 1;

  constructor(transport: Transport, options: SessionOptions = {}) {
    this.#options = options;
    this.#token = this.#random(P.TOKEN_SIZE);
    this.#hello.promise.catch(() => {});
    this.#connected.promise.catch(() => {});
    this.#streams = new StreamAcceptor(this.#token, (process) => this.#processes.get(process), (number) => this.#takers.get(number));
    this.#listeners.push(transport.listen(P.PORT_CONTROL, (stream) => this.#acceptControl(stream)));
    this.#listeners.push(transport.listen(P.PORT_STREAM, (stream) => this.#streams.accept(stream)));
  }

  /** Resolves with the guest's HELLO; rejects when the session ends before it. */
  hello(): Promise<GuestInfo> {
    return this.#hello.promise;
  }

  /** Resolves when the session has ended, for whatever reason. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Starts a container. The handle exists at once; `started` tells whether the command runs. */
  start(spec: ContainerSpec): ProcessHandle {
    const container = this.#nextContainer++;
    return this.#launch(P.MSG_START, container, spec, (process) => encodeStart(container, process, spec), spec.hold);
  }

  /** Lets the command of a held container go. Its handle's `started` settles by this. */
  async release(process: ProcessHandle): Promise<void> {
    try {
      process.hasStarted(pidOf(await this.#request(P.MSG_RELEASE, new FieldWriter().u32(P.TAG_CONTAINER, process.container))));
    } catch (error) {
      // What could be released and did not run has an end that is reported.
      process.neverStarted(error as Error);
      throw error;
    }
  }

  /** Makes namespaces that other containers can join; it lasts until it gets SIGTERM. */
  startSandbox(spec: SandboxSpec): ProcessHandle {
    const container = this.#nextContainer++;
    const none: ProcessSpec = { args: [], env: [], stdout: false, stderr: false };
    return this.#launch(P.MSG_START, container, none, (process) => encodeSandbox(container, process, spec));
  }

  /** Runs another process in a running container. */
  exec(container: number, spec: ProcessSpec): ProcessHandle {
    return this.#launch(P.MSG_EXEC, container, spec, (process) => encodeExec(container, process, spec));
  }

  /**
   * Mounts a share's export or a disk in a container that runs, or takes such a mount away: `target`, `source` and `subpath` say which. Rejects with AGENT_MOUNT
   * (errno EBUSY) while something there is in use, or when it did not come to its end; with AGENT_NOT_FOUND where it is not mounted. `signal`: it is not wanted any
   * more, and is ended if that is not too late.
   */
  async changeMount(container: number, mount: Mount, action: MountAction, signal?: AbortSignal): Promise<void> {
    const change = this.#launch(P.MSG_EXEC, container, MOUNT_CHANGE, (process) => encodeMountChange(container, process, mount, action));
    const end = (): void => void change.signal(SIGKILL).catch(() => {});
    signal?.addEventListener('abort', end);
    try {
      const { code, status } = await change.wait();
      if (code !== 0) throw new AgentError(P.ERR_MOUNT, 0, `the guest did not finish what was to be done on ${mount.target} (${status})`);
    } finally {
      signal?.removeEventListener('abort', end);
    }
  }

  /** A signal for each process of a container. */
  async signalContainer(container: number, signal: number): Promise<void> {
    const w = new FieldWriter().u32(P.TAG_CONTAINER, container).u32(P.TAG_SIGNAL, signal);
    await this.#request(P.MSG_SIGNAL, w.u32(P.TAG_SCOPE, P.SCOPE_CONTAINER));
  }

  /** Freezes all processes of a container; `resume` thaws them. */
  async pause(container: number): Promise<void> {
    await this.#request(P.MSG_PAUSE, new FieldWriter().u32(P.TAG_CONTAINER, container));
  }

  async resume(container: number): Promise<void> {
    await this.#request(P.MSG_RESUME, new FieldWriter().u32(P.TAG_CONTAINER, container));
  }

  /** The kernel's own figures, by file name: of a container's cgroup, or of the machine. */
  async stats(container?: number): Promise<Map<string, string>> {
    const w = new FieldWriter();
    if (container !== undefined) w.u32(P.TAG_CONTAINER, container);
    const files = new Map<string, string>();
    for (const field of await this.#request(P.MSG_STATS, w)) {
      if (field.tag !== P.TAG_STAT) continue;
      const text = rawTextOf(field);
      const end = text.indexOf('\n');
      files.set(text.slice(0, end), text.slice(end + 1));
    }
    return files;
  }

  /** Changes cgroup settings ("cpu.max=50000 100000") of a running container. */
  async update(container: number, cgroup: readonly string[]): Promise<void> {
    const w = new FieldWriter().u32(P.TAG_CONTAINER, container);
    for (const setting of cgroup) w.string(P.TAG_CGROUP, setting);
    await this.#request(P.MSG_UPDATE, w);
  }

  /** Stops the containers (stop signal, then SIGKILL after the time-out), then the machine. */
  async shutdown(mode: PowerMode, timeoutMs = 10_000): Promise<void> {
    const w = new FieldWriter().u32(P.TAG_POWER, POWER[mode]).u32(P.TAG_TIMEOUT, timeoutMs);
    await this.#request(P.MSG_SHUTDOWN, w);
    await this.#closed.promise;
  }

  /** Sets the guest's clock: to nanoseconds since 1970, or to the host's within some milliseconds, as after a pause. */
  async setTime(nanoseconds?: bigint): Promise<void> {
    if (nanoseconds === undefined && this.#options.now === undefined) await this.#followClock();
    else await this.#request(P.MSG_SET_TIME, new FieldWriter().u64(P.TAG_TIME, nanoseconds ?? this.#now()));
  }

  /** A time is read some while after it was written. So the guest's clock is asked for until a way there and back was short, and stepped by the difference. */
  async #followClock(): Promise<void> {
    let least = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < CLOCK_ATTEMPTS && least > CLOCK_WAY_MS && this.#failure === undefined; attempt++) {
      // Whatever keeps guest or host busy at the start is over some time.
      if (attempt > 0) await new Promise<void>((resolve) => setTimeout(resolve, 2 * attempt).unref());
      const start = monotonicMs();
      const clock = find(await this.#request(P.MSG_PING, new FieldWriter()), P.TAG_CLOCK);
      const way = monotonicMs() - start;
      if (clock === undefined) return;
      if (way >= least / 2) continue;
      least = way;
      const step = this.#now() - BigInt(Math.round(way * 5e5)) - (u64sOf(clock, 1)[0] ?? 0n);
      await this.#request(P.MSG_SET_TIME, new FieldWriter().u64(P.TAG_TIME_STEP, BigInt.asUintN(64, step)));
    }
  }

  async ping(): Promise<void> {
    await this.#request(P.MSG_PING, new FieldWriter());
  }

  /** Writes what the guest's file systems hold in memory to its disks. */
  async sync(): Promise<void> {
    await this.#request(P.MSG_SYNC, new FieldWriter());
  }

  /** Resolves when the guest sees the disk that now fills a spare slot. */
  async diskAttached(serial: string): Promise<void> {
    await this.#slot(P.SLOT_DISK, 0, serial, P.ACTION_ADD);
  }

  /** The guest lets go of a disk; rejects while it is in use. */
  async diskDetaching(serial: string): Promise<void> {
    await this.#slot(P.SLOT_DISK, 0, serial, P.ACTION_REMOVE);
  }

  /** Resolves when the guest sees an export of a share, which containers can mount from then on. */
  async exportAdded(tag: string, name: string): Promise<void> {
    await this.#slot(P.SLOT_SHARE, 0, tag, P.ACTION_ADD, name);
  }

  /** The guest lets go of an export; containers that have it mounted find it stale once the device has let go of it. */
  async exportLeaving(tag: string, name: string): Promise<void> {
    await this.#slot(P.SLOT_SHARE, 0, tag, P.ACTION_REMOVE, name);
  }

  /**
   * Has programs of the guest hear of what programs of the host have changed in a share: resolves, once that is done, with the number of the process that does it.
   * While that is not `raiser`, nothing is done.
   */
  async raise(tag: string, changes: readonly Change[], raiser: number): Promise<number> {
    return pidOf(await this.#request(P.MSG_RAISE, encodeRaise(tag, changes, raiser)));
  }

  /** Gives cards their addresses and routes, and files of a container a new content: at any time, again too. */
  async network(config: NetworkConfig): Promise<void> {
    await this.#request(P.MSG_NETWORK, encodeNetwork(config));
  }

  /** Opens a port of the guest's, on its loopback interface; each connection to it is given to `take`. Bytes of it are the guest's: any process there can connect. */
  async listen(spec: ListenSpec, take: (stream: Stream) => void): Promise<void> {
    const number = this.#takers.size + 1;
    this.#takers.set(number, take);
    await this.#request(P.MSG_LISTEN, encodeListen(number, spec));
  }

  /** Resolves when the guest sees the card with this address, `02:00:00:00:00:01`, in a slot that was filled. */
  async cardAttached(slot: number, address: string): Promise<void> {
    await this.#slot(P.SLOT_NIC, slot, address, P.ACTION_ADD);
  }

  /** The guest switches a card off. */
  async cardDetaching(slot: number, address: string): Promise<void> {
    await this.#slot(P.SLOT_NIC, slot, address, P.ACTION_REMOVE);
  }

  /** Makes a named directory that containers can share as a mount's source. */
  async addVolume(name: string, mount: Omit<Mount, 'target' | 'source'> = { fstype: 'tmpfs' }): Promise<void> {
    const w = new FieldWriter().u32(P.TAG_ACTION, P.ACTION_ADD).string(P.TAG_TARGET, name);
    await this.#request(P.MSG_VOLUME, w.nested(P.TAG_MOUNT, encodeMount({ ...mount, target: '/' })));
  }

  async removeVolume(name: string): Promise<void> {
    const w = new FieldWriter().u32(P.TAG_ACTION, P.ACTION_REMOVE).string(P.TAG_TARGET, name);
    await this.#request(P.MSG_VOLUME, w);
  }

  /** Ends the session from the host's side; the guest takes that as a failure and stops. */
  close(): void {
    this.#end(new VmmError('AGENT_CLOSED', 'the session with the guest was closed'));
  }

  #now(): bigint {
    // The middle of the millisecond.
    return this.#options.now?.() ?? BigInt(Date.now()) * 1_000_000n + 500_000n;
  }

  #random(length: number): Uint8Array {
    return this.#options.random?.(length) ?? randomBytes(length);
  }

  /** A disk is found by its serial number: its slot's says nothing. */
  #slot(kind: number, slot: number, name: string, action: number, entry?: string): Promise<Field[]> {
    const w = new FieldWriter().u32(P.TAG_SLOT, kind, slot).string(P.TAG_SOURCE, name);
    if (entry !== undefined) w.string(P.TAG_EXPORT, entry);
    return this.#request(P.MSG_SLOT, w.u32(P.TAG_ACTION, action));
  }

  #launch(
    type: number,
    container: number,
    spec: ProcessSpec,
    encode: (process: number) => FieldWriter,
    held = false,
  ): ProcessHandle {
    const id = this.#nextProcess++;
    const handle = new ProcessHandle(id, container, spec, {
      signal: async (process, signal, group) => {
        const w = new FieldWriter().u32(P.TAG_PROCESS, process).u32(P.TAG_SIGNAL, signal);
        if (group === true) w.u32(P.TAG_SCOPE, P.SCOPE_GROUP);
        await this.#request(P.MSG_SIGNAL, w);
      },
      resize: async (process, size: WindowSize) => {
        const w = new FieldWriter().u32(P.TAG_PROCESS, process);
        writeWindowSize(w, size);
        await this.#request(P.MSG_RESIZE, w);
      },
    });
    if (this.#failure !== undefined) {
      handle.failed(this.#failure);
      return handle;
    }
    this.#processes.set(id, handle);
    let fields: FieldWriter;
    try {
      fields = encode(id);
    } catch (error) {
      this.#processes.delete(id);
      handle.failed(error as Error);
      return handle;
    }
    this.#request(type, fields).then(
      (reply) => (held ? handle.isPrepared() : handle.hasStarted(pidOf(reply))),
      (error: Error) => {
        this.#processes.delete(id);
        handle.failed(error);
      },
    );
    return handle;
  }

  async #request(type: number, fields: FieldWriter): Promise<Field[]> {
    const id = this.#nextId++;
    const { promise: reply, resolve, reject } = Promise.withResolvers<Field[]>();
    this.#pending.set(id, { resolve, reject });
    reply.catch(() => {});
    try {
      const message = encodeMessage(type, 0, id, fields.finish());
      await (await this.#connected.promise).write(message);
    } catch (error) {
      this.#pending.delete(id);
      throw this.#failure ?? error;
    }
    return reply;
  }

  /** Only the first connection is init's: it is made before any container exists. */
  #acceptControl(stream: Stream): void {
    if (this.#control !== undefined || this.#failure !== undefined) {
      stream.destroy();
      return;
    }
    this.#control = stream;
    const reader = new MessageReader(P.MAX_REPORT);
    stream.onData((chunk) => {
      try {
        for (const message of reader.push(chunk)) this.#dispatch(message);
      } catch (error) {
        this.#end(error instanceof VmmError ? error : protocolError(String(error)));
      }
    });
    stream.onClose(() => this.#end(new VmmError('AGENT_LOST', 'the guest closed its control connection')));
    stream.onEnd(() => stream.end());
    const hello = new FieldWriter().u16(P.TAG_VERSION, P.PROTOCOL_VERSION_MIN, P.PROTOCOL_VERSION_MAX);
    hello.bytes(P.TAG_TOKEN, this.#token).u64(P.TAG_TIME, this.#now()).bytes(P.TAG_SEED, this.#random(64));
    const id = this.#nextId++;
    stream.write(encodeMessage(P.MSG_HELLO, 0, id, hello.finish())).catch(() => {});
    // The time in it was read late: the guest was mounting. The command is being prepared meanwhile.
    const answered = (): void => {
      if (this.#options.now === undefined) this.#followClock().catch(() => {});
    };
    this.#pending.set(id, { resolve: answered, reject: () => {} });
    this.#connected.resolve(stream);
  }

  #dispatch(message: Message): void {
    const fields = readFields(message.payload);
    if (isReply(message)) {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if ((message.flags & P.FLAG_ERROR) === 0) pending?.resolve(fields);
      else if (message.type === P.MSG_HELLO) this.#end(errorOf(fields));
      else pending?.reject(errorOf(fields));
      return;
    }
    switch (message.type) {
      case P.MSG_HELLO:
        this.#greeted(fields);
        break;
      case P.MSG_EXIT:
        this.#exited(fields);
        break;
      case P.MSG_FATAL: {
        const reason = textOf(need(fields, P.TAG_TEXT));
        this.#options.onFatal?.(reason);
        this.#end(new VmmError('AGENT_FATAL', `the guest's init gave up: ${reason}`));
        break;
      }
      case P.MSG_BYE:
        this.#said = true;
        // The guest stops when we close; output that is still under way would be lost.
        Promise.all(this.#exiting).then(() => this.#control?.end());
        break;
      case P.MSG_READY: {
        // The first process of a container has the lowest number. It may have ended.
        const container = u32Of(need(fields, P.TAG_CONTAINER));
        [...this.#processes.values()].find((handle) => handle.container === container)?.isReady();
        break;
      }
      case P.MSG_LOG:
        this.#options.onLog?.(textOf(need(fields, P.TAG_TEXT)));
        break;
      default:
        // An event of a later version; docs/agent-protocol.md, "Unknown messages".
        break;
    }
  }

  #greeted(fields: Field[]): void {
    const versions = need(fields, P.TAG_VERSION).value;
    if (versions.length !== 4) throw protocolError('HELLO: a malformed version');
    const view = new DataView(versions.buffer, versions.byteOffset, 4);
    const [min, max] = [view.getUint16(0, true), view.getUint16(2, true)];
    if (min > P.PROTOCOL_VERSION_MAX || max < P.PROTOCOL_VERSION_MIN) {
      throw protocolError(
        `the guest speaks versions ${min} to ${max}, this host ${P.PROTOCOL_VERSION_MIN} to ${P.PROTOCOL_VERSION_MAX}`,
      );
    }
    const boot = find(fields, P.TAG_BOOT_NS);
    const build = find(fields, P.TAG_BUILD);
    const kernel = find(fields, P.TAG_KERNEL);
    this.#hello.resolve({
      version: Math.min(max, P.PROTOCOL_VERSION_MAX),
      build: build === undefined ? '' : textOf(build),
      kernel: kernel === undefined ? '' : textOf(kernel),
      bootNs: boot === undefined ? 0n : (u64sOf(boot, 1)[0] ?? 0n),
    });
  }

  #exited(fields: Field[]): void {
    const id = u32Of(need(fields, P.TAG_PROCESS));
    const handle = this.#processes.get(id);
    if (handle === undefined) throw protocolError(`EXIT of process ${id}, which does not exist`);
    const report = exitReportOf(fields);
    // It stays known until its streams, which may arrive later than this, have ended.
    const exiting = handle.hasExited(report).finally(() => {
      this.#processes.delete(id);
      this.#exiting.delete(exiting);
    });
    this.#exiting.add(exiting);
  }

  #end(error: VmmError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const listener of this.#listeners) listener.close();
    this.#streams.close();
    this.#hello.reject(error);
    this.#connected.reject(error);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    for (const handle of this.#processes.values()) handle.failed(error);
    this.#processes.clear();
    if (!this.#said) this.#control?.destroy();
    this.#closed.resolve();
  }
}
