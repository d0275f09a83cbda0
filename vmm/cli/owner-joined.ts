/** A container whose machine is another's (`--network container:NAME`): this process owns it, and asks the owner of that one to run it. */
import { closeSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from '../../base/random.ts';
import { type ContainerEnded, type ContainerIo, type ContainerResult, type ExitStatus, type JoinedContainer, NO_NETWORK, type ProcessSpec, specText } from '../api/containers.ts';
import { TOKEN_BYTES } from '../api/devices.ts';
import { VmmError } from '../api/errors.ts';
import { type Channel, type ContainerRecord, ENDED_OUT_OF_MEMORY, ENDED_ROOT_FULL, ENDED_WITH_MACHINE, type InsideAsk, type JoinAsk, Refused, RemoteProcess, runs, type Size, type StateFolder, type Stats, type Talk, talkToOwner } from '../api/owner.ts';
import { STOP_SECONDS } from './owner-ask.ts';
import type { OwnedContainer, OwnedProcess } from './owned.ts';
import { passDescriptors } from './passed.ts';
import * as STATUS from './status.ts';

const SIGKILL = 9;
type Bytes = (bytes: Uint8Array) => void | Promise<void>;
type Ended = Awaited<ReturnType<RemoteProcess['wait']>>;

/** A process that another process of the host is asked for: what is said to it before it is there waits. */
class ComingProcess implements OwnedProcess {
  readonly #coming = Promise.withResolvers<RemoteProcess>();
  readonly started = this.#coming.promise.then(() => {});
  readonly stdin = {
    write: async (bytes: Uint8Array): Promise<boolean> => (await this.#coming.promise).stdin.write(bytes),
    end: async (): Promise<void> => (await this.#coming.promise).stdin.end(),
  };

  readonly #giveUp: () => void;
  #came = false;

  /** `giveUp`: it is not waited for any more. */
  constructor(giveUp: () => void = () => {}) {
    this.#giveUp = giveUp;
    this.started.catch(() => {});
  }

  come(process: RemoteProcess): void {
    this.#came = true;
    this.#coming.resolve(process);
  }

  fail(error: unknown): void {
    this.#coming.reject(error);
  }

  onStdout(consumer: Bytes): void {
    this.#then((process) => process.onStdout(consumer));
  }

  onStderr(consumer: Bytes): void {
    this.#then((process) => process.onStderr(consumer));
  }

  closeStdout(): void {
    this.#then((process) => process.closeStdout());
  }

  closeStderr(): void {
    this.#then((process) => process.closeStderr());
  }

  async resize(size: Size): Promise<void> {
    await (await this.#coming.promise).resize(size);
  }

  async signal(signal: number): Promise<void> {
    if (signal === SIGKILL && !this.#came) this.#giveUp();
    await (await this.#coming.promise).signal(signal);
  }

  async kill(): Promise<void> {
    await (await this.#coming.promise).kill();
  }

  async wait(): Promise<Ended> {
    return (await this.#coming.promise).wait();
  }

  #then(work: (process: RemoteProcess) => void): void {
    this.#coming.promise.then(work, () => {});
  }
}

/** How a try to run it went. `last`: there is no machine for another. */
interface Tried {
  readonly result: ContainerEnded | { readonly kind: 'machine'; readonly result: { readonly kind: 'stopped' }; readonly console: string };
  readonly last: boolean;
}

const STOPPED: Tried = { result: { kind: 'machine', result: { kind: 'stopped' }, console: '' }, last: true };

export class JoinedRun implements OwnedContainer {
  readonly spec: OwnedContainer['spec'];
  readonly stopSignal: number;
  readonly network = NO_NETWORK;
  readonly space: OwnedContainer['space'];
  readonly #record: ContainerRecord;
  readonly #state: StateFolder;
  readonly #joined: JoinedContainer;
  readonly #io: ContainerIo;
  readonly #rootfs: string;
  #process = new ComingProcess(() => this.kill());
  #channel: Channel | undefined;
  /** Ends what waits for the other owner. */
  readonly #killed = new AbortController();

  /** `rootfs`: its image’s disk. */
  constructor(record: ContainerRecord, state: StateFolder, joined: JoinedContainer, rootfs: string, io: ContainerIo) {
    this.#record = record;
    this.#state = state;
    this.#joined = joined;
    this.#io = io;
    this.#rootfs = rootfs;
    this.spec = joined.spec;
    this.stopSignal = joined.stopSignal;
    const folder = state.folder(record.id);
    this.space = record.disk ? { bytes: statSync(join(folder, 'disk')).size, folder } : undefined;
    this.#connect();
  }

  get process(): OwnedProcess {
    return this.#process;
  }

  readonly container = {
    exec: (spec: ProcessSpec): OwnedProcess => {
      const process = new ComingProcess();
      this.#talk({ what: 'exec', spec: specText(spec) }).then(({ channel }) => process.come(new RemoteProcess(channel, this.#record.name)), (error: unknown) => process.fail(error));
      return process;
    },
    pause: (): Promise<void> => this.#ask('pause'),
    resume: (): Promise<void> => this.#ask('resume'),
  };

  readonly guest = { sync: (): Promise<void> => this.#ask('sync') };

  readonly figures = async (): Promise<Stats> => {
    const { answer, channel } = await this.#talk({ what: 'stats' });
    channel.destroy();
    if (answer.stats === undefined) throw notRunning(this.#record.joins);
    return answer.stats;
  };

  /** Its memory is a limit of its cgroup: the machine is another's. */
  async update(cgroup: readonly string[]): Promise<void> {
    (await this.#talk({ what: 'update', cgroup })).channel.destroy();
    const names = new Set(cgroup.map((setting) => setting.split('=', 1)[0]));
    this.spec.cgroup = [...(this.spec.cgroup ?? []).filter((setting) => !names.has(setting.split('=', 1)[0])), ...cgroup];
  }

  async run({ signal, again }: NonNullable<Parameters<OwnedContainer['run']>[0]> = {}): Promise<ContainerResult> {
    if (signal?.aborted) this.kill();
    else signal?.addEventListener('abort', () => this.kill(), { once: true });
    for (;;) {
      const { result, last } = await this.#try();
      if (result.kind === 'machine' || last || again === undefined || !(await again(result))) return result;
      this.#process = new ComingProcess(() => this.kill());
      this.#connect();
    }
  }

  kill(): void {
    this.#killed.abort();
    this.#channel?.destroy();
  }

  #connect(): void {
    this.#process.onStdout((bytes) => this.#io.stdout(bytes));
    this.#process.onStderr((bytes) => this.#io.stderr(bytes));
  }

  async #try(): Promise<Tried> {
    if (this.#killed.signal.aborted) return STOPPED;
    try {
      const talk = await this.#join();
      this.#channel = talk.channel;
      const process = new RemoteProcess(talk.channel, this.#record.name);
      this.#process.come(process);
      if (this.#killed.signal.aborted) talk.channel.destroy();
    } catch (error) {
      this.#process.fail(error);
      if (this.#killed.signal.aborted) return STOPPED;
      if (!(error instanceof VmmError)) throw error;
      const last = /^CONTAINER_(STATE|NOT_FOUND)$/.test(error.code);
      return { result: { kind: 'failed', status: (error instanceof Refused ? error.status : undefined) ?? STATUS.STATUS_VMM_ERROR, error }, last };
    }
    try {
      const { status, flags } = await this.#process.wait();
      return { result: { kind: 'exited', status: statusOf(status, flags) }, last: (flags & ENDED_WITH_MACHINE) !== 0 };
    } catch {
      // The machine is gone, or we have let go of it.
      if (!this.#killed.signal.aborted) this.#io.note?.('the container whose network it had joined is gone');
      return { result: { kind: 'exited', status: statusOf(128 + SIGKILL, 0) }, last: true };
    }
  }

  /** Its disks are opened here: the other's process, which is bound, cannot, and could write to an image if it did. */
  async #join(): Promise<Talk> {
    const { id, joins = '', disk, stopTimeout } = this.#record;
    const other = await this.#state.read(joins);
    if (other === undefined) throw new VmmError('CONTAINER_NOT_FOUND', `No such container: ${joins.slice(0, 12)}`, { hint: 'the container whose network it joins was removed: make this one again' });
    if (!runs(other)) throw notRunning(joins);
    const changes = disk ? join(this.#state.folder(id), 'disk') : undefined;
    const shares = this.#joined.shares.map(({ name, path, readOnly = false }) => ({ name, path, readOnly }));
    const ask: Omit<JoinAsk, 'token'> = { ask: 'join', id, spec: specText(this.#joined.spec), root: this.#rootfs, changes, shares, seconds: stopTimeout ?? STOP_SECONDS };
    const fds: number[] = [];
    try {
      fds.push(opened(this.#rootfs, 'r'));
      if (changes !== undefined) fds.push(opened(changes, 'r+'));
      const talk = await this.#asked(ask, fds);
      if (talk === undefined) throw notRunning(joins);
      return talk;
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }

  /** Undefined: its owner is gone, or not waited for any more. */
  async #asked(ask: Omit<JoinAsk, 'token'>, fds: readonly number[]): Promise<Talk | undefined> {
    const { joins = '' } = this.#record;
    for (let again = true; ; again = false) {
      const token = randomBytes(TOKEN_BYTES);
      const given = give(this.#state.joinSocket(joins), token, fds);
      try {
        return await talkToOwner(this.#state.socket(joins), { ...ask, token: Buffer.from(token).toString('hex') }, this.#killed.signal);
      } catch (error) {
        // Those of processes that were killed were in the way: being asked it has taken them all.
        if (given || !again) throw error;
      }
    }
  }

  async #ask(what: 'pause' | 'resume' | 'sync'): Promise<void> {
    (await this.#talk({ what })).channel.destroy();
  }

  async #talk(what: Pick<InsideAsk, 'what' | 'spec' | 'cgroup'>): Promise<Talk> {
    const { id, joins = '' } = this.#record;
    const talk = await talkToOwner(this.#state.socket(joins), { ask: 'inside', id, ...what }, this.#killed.signal);
    if (talk === undefined) throw notRunning(joins);
    return talk;
  }
}

function notRunning(id = ''): VmmError {
  // Docker's words (daemon/container_operations.go).
  return new VmmError('CONTAINER_STATE', `cannot join network of a non running container: ${id.slice(0, 12)}`, { hint: 'start that one first' });
}

/** Throws DISK_OPEN. */
function opened(path: string, mode: 'r' | 'r+'): number {
  try {
    return openSync(path, mode);
  } catch (cause) {
    const { code = 'error' } = cause as NodeJS.ErrnoException;
    throw new VmmError('DISK_OPEN', `disk ${path}: cannot be opened: ${code}`, { cause, hint: 'it is the container’s: make that again' });
  }
}

/** False: there was no room. */
function give(socket: string, token: Uint8Array, fds: readonly number[]): boolean {
  try {
    return passDescriptors(socket, token, fds);
  } catch (error) {
    // Without the FFI library the other's process opens them: nothing binds it. Is nobody there, that is told when it is asked.
    if (error instanceof VmmError && /^(FFI_MISSING|HOST_CALL)$/.test(error.code)) return true;
    throw error;
  }
}

function statusOf(status: number, flags: number): ExitStatus {
  const signal = status > 128 ? status - 128 : undefined;
  return { code: signal === undefined ? status : undefined, signal, status, coreDumped: false, outOfMemory: (flags & ENDED_OUT_OF_MEMORY) !== 0, rootFull: (flags & ENDED_ROOT_FULL) !== 0, usage: undefined };
}
