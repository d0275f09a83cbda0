/** A container whose machine is another's (`--network container:NAME`): this process owns it, and asks the owner of that one to run it. */
import { constants, copyFileSync, existsSync, linkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerEnded, type ContainerIo, type ContainerResult, type ExitStatus, type JoinedContainer, NO_NETWORK, type ProcessSpec, specText } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { type Channel, type ContainerRecord, ENDED_OUT_OF_MEMORY, ENDED_ROOT_FULL, ENDED_WITH_MACHINE, type InsideAsk, type JoinAsk, joinedDisk, Refused, RemoteProcess, runs, type Size, type StateFolder, type Stats, type Talk, talkToOwner } from '../api/owner.ts';
import { STOP_SECONDS } from './owner-ask.ts';
import type { OwnedContainer, OwnedProcess } from './owned.ts';
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

  constructor() {
    this.started.catch(() => {});
  }

  come(process: RemoteProcess): void {
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
  #process = new ComingProcess();
  #channel: Channel | undefined;
  #killed = false;

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
      this.#process = new ComingProcess();
      this.#connect();
    }
  }

  kill(): void {
    this.#killed = true;
    this.#channel?.destroy();
  }

  #connect(): void {
    this.#process.onStdout((bytes) => this.#io.stdout(bytes));
    this.#process.onStderr((bytes) => this.#io.stderr(bytes));
  }

  async #try(): Promise<Tried> {
    if (this.#killed) return STOPPED;
    try {
      const talk = await this.#join();
      this.#channel = talk.channel;
      const process = new RemoteProcess(talk.channel, this.#record.name);
      this.#process.come(process);
      if (this.#killed) talk.channel.destroy();
    } catch (error) {
      this.#process.fail(error);
      if (!(error instanceof VmmError)) throw error;
      const last = /^CONTAINER_(STATE|NOT_FOUND)$/.test(error.code);
      return { result: { kind: 'failed', status: (error instanceof Refused ? error.status : undefined) ?? STATUS.STATUS_VMM_ERROR, error }, last };
    }
    try {
      const { status, flags } = await this.#process.wait();
      return { result: { kind: 'exited', status: statusOf(status, flags) }, last: (flags & ENDED_WITH_MACHINE) !== 0 };
    } catch {
      // The machine is gone, or we have let go of it.
      if (!this.#killed) this.#io.note?.('the container whose network it had joined is gone');
      return { result: { kind: 'exited', status: statusOf(128 + SIGKILL, 0) }, last: true };
    }
  }

  /** Its disks are in the folder of the one whose machine it is while that is asked: nothing else can be opened there. */
  async #join(): Promise<Talk> {
    const { id, joins = '', disk, stopTimeout } = this.#record;
    const other = await this.#state.read(joins);
    if (other === undefined) throw new VmmError('CONTAINER_NOT_FOUND', `No such container: ${joins.slice(0, 12)}`, { hint: 'the container whose network it joins was removed: make this one again' });
    if (!runs(other)) throw notRunning(joins);
    const folder = this.#state.folder(joins);
    const [root, changes] = [join(folder, joinedDisk(id, 'root')), join(folder, joinedDisk(id, 'changes'))];
    const ask: JoinAsk = { ask: 'join', id, spec: specText(this.#joined.spec), disk, shares: this.#joined.shares.map(({ name, path, readOnly = false }) => ({ name, path, readOnly })), seconds: stopTimeout ?? STOP_SECONDS };
    try {
      lay(this.#rootfs, root);
      if (disk) lay(join(this.#state.folder(id), 'disk'), changes);
      const talk = await talkToOwner(this.#state.socket(joins), ask);
      if (talk === undefined) throw notRunning(joins);
      return talk;
    } finally {
      for (const path of [root, changes]) rmSync(path, { force: true });
    }
  }

  async #ask(what: 'pause' | 'resume' | 'sync'): Promise<void> {
    (await this.#talk({ what })).channel.destroy();
  }

  async #talk(what: Pick<InsideAsk, 'what' | 'spec' | 'cgroup'>): Promise<Talk> {
    const { id, joins = '' } = this.#record;
    const talk = await talkToOwner(this.#state.socket(joins), { ask: 'inside', id, ...what });
    if (talk === undefined) throw notRunning(joins);
    return talk;
  }
}

function notRunning(id = ''): VmmError {
  // Docker's words (daemon/container_operations.go).
  return new VmmError('CONTAINER_STATE', `cannot join network of a non running container: ${id.slice(0, 12)}`, { hint: 'start that one first' });
}

/** Another name for a file, in a folder of the same file system; else a copy. */
function lay(from: string, to: string): void {
  rmSync(to, { force: true }); // of a process that was killed
  try {
    linkSync(from, to);
  } catch (cause) {
    const { code = 'error' } = cause as NodeJS.ErrnoException;
    if (code === 'EXDEV' && existsSync(from)) copyFileSync(from, to, constants.COPYFILE_FICLONE);
    else throw new VmmError('STATE_FOLDER', `${to} cannot be made: ${code}`, { cause, hint: 'free some space, or make both containers with another --root' });
  }
}

function statusOf(status: number, flags: number): ExitStatus {
  const signal = status > 128 ? status - 128 : undefined;
  return { code: signal === undefined ? status : undefined, signal, status, coreDumped: false, outOfMemory: (flags & ENDED_OUT_OF_MEMORY) !== 0, rootFull: (flags & ENDED_ROOT_FULL) !== 0, usage: undefined };
}
