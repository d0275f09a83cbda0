import { AgentError } from '../agent/errors.ts';
import type { ExitStatus, ProcessHandle } from '../agent/process.ts';
import type { NetworkConfig } from '../agent/network.ts';
import type { ContainerSpec, ProcessSpec, ProvidedFile } from '../agent/spec.ts';
import { VmmError } from '../../base/errors.ts';
import { Guest, type GuestConfig, type GuestContainer, type ShareExport } from '../guest/guest.ts';
import type { MachineResult } from '../machine/result.ts';
import { type GuestMetadata, METADATA_LISTEN } from '../metadata/guest.ts';
import { Timeline } from '../machine/timeline.ts';
import type { AppPlan, PodPlan } from './plan.ts';

/** The machine around a pod. */
export type PodMachine = Omit<GuestConfig, 'disks' | 'shares'>;

export interface PodOptions {
  readonly hostname: string;
  /** Apps come and go while the machine runs, and it does not end with them (rkt's mutable pods). */
  readonly mutable?: boolean | undefined;
  /** Asked for while the guest boots: it puts cables into the machine's spare cards, and tells their addresses. Apps start after it. `stopped`: nobody waits for it any more. */
  readonly network?: ((guest: Guest, stopped: AbortSignal) => Promise<PodNetwork>) | undefined;
  /** Its metadata service, where there is one in the guest. Each app gets its URL. */
  readonly metadata?: GuestMetadata | undefined;
  /** What an orderly end gives the apps between their stop signal and SIGKILL, ms. */
  readonly stopMs?: number | undefined;
}

export interface PodNetwork {
  readonly config: NetworkConfig;
  /** For each app, beside its own: resolv.conf. */
  readonly files: readonly ProvidedFile[];
  /** NAME=VALUE, for each app beside its own: where the metadata service is. */
  readonly env: readonly string[];
}

/** What a pod tells. Chunks are valid until the promise settles. */
export interface PodListener {
  output(app: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): void | Promise<void>;
  /** The app's command runs. */
  started?(app: string, command: ProcessHandle): void;
  /** It ended, or it could not be started. */
  ended?(app: string, end: AppEnd): void;
  /** All apps of the plan have been started, and those that tell when they are ready have told it or ended. */
  ready?(): void;
  /** One line without its end; texts of the guest may be in it. */
  note?(text: string, about?: 'accelerator'): void;
}

/** How an app ended. */
export type AppEnd =
  | { readonly kind: 'exited'; readonly status: ExitStatus }
  /** It, or its pre-start handler, could not be run. */
  | { readonly kind: 'failed'; readonly error: VmmError };

/** systemd's statuses of units that could not begin (systemd.exec(5), "Process Exit Codes"). */
const EXIT_CHDIR = 200;
const EXIT_EXEC = 203;
const EXIT_USER = 217;

/** The number that rkt's reaper writes for an app: its exit code, or the number of the signal that ended it. */
export function appStatus(end: AppEnd): number {
  if (end.kind === 'exited') return end.status.signal ?? end.status.code ?? 0;
  if (end.error.code === 'AGENT_CWD') return EXIT_CHDIR;
  return end.error.code === 'AGENT_USER' ? EXIT_USER : EXIT_EXEC;
}

export type PodResult =
  /** `status`: of the first app that did not end with 0; 0 when there is none. */
  | { readonly kind: 'ended'; readonly status: number; readonly apps: ReadonlyMap<string, AppEnd> }
  /** The machine ended before its pod did. `console`: the last that the guest wrote to it, each byte a character. */
  | { readonly kind: 'machine'; readonly result: MachineResult; readonly console: string };

const STOP_MS = 10_000;

interface Running {
  readonly plan: AppPlan;
  /** While its command runs. */
  container: GuestContainer | undefined;
  /** While one of its event handlers runs. */
  handler: GuestContainer | undefined;
  /** Resolves when its command runs, or is known not to. */
  settled: Promise<void>;
  /** Settles with the app's end. */
  over: Promise<void>;
  stopping: boolean;
}

/**
 * A pod in a guest of its own: a sandbox holds the namespaces that its apps share (processes, IPC, host name; the network is the machine's), and
 * each app is a container with a root, mounts and a cgroup of its own.
 */
export class PodRun {
  readonly guest: Guest;
  readonly #options: PodOptions;
  readonly #listener: PodListener;
  readonly #sandbox: GuestContainer;
  readonly #apps = new Map<string, Running>();
  readonly #ends = new Map<string, AppEnd>();
  readonly #first: readonly AppPlan[];
  #given: Pick<PodNetwork, 'files' | 'env'> = { files: [], env: [] };
  #status = 0;
  #stopped: Promise<void> | undefined;
  readonly #stopping = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  /** The first apps are being started, or are not going to be. */
  readonly #begun = Promise.withResolvers<void>();

  /** Opens disks and exports. Throws VmmError. */
  constructor(plan: PodPlan, options: PodOptions, machine: PodMachine, listener: PodListener, timeline = new Timeline()) {
    this.#options = options;
    this.#listener = listener;
    this.#first = plan.apps;
    this.guest = new Guest(
      { ...machine, disks: plan.disks, ...(plan.shares.length > 0 || options.mutable === true ? { shares: plan.shares } : {}) },
      { note: (text, about) => listener.note?.(text, about), fatal: (reason) => listener.note?.(`the guest’s init gave up: ${reason}`) },
      timeline,
    );
    this.#sandbox = this.guest.createSandbox({ hostname: options.hostname });
  }

  /** Runs the pod to its end, or until `signal` aborts it. Rejects with VmmError when the machine cannot be built, or has no network. */
  async run(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<PodResult> {
    const machineEnd = this.guest.run(options);
    const machine = machineEnd.then((result): PodResult => ({ kind: 'machine', result, console: this.guest.consoleTail }));
    const apps = this.#lead().then((): PodResult | undefined => ({ kind: 'ended', status: this.#status, apps: this.#ends }), (error: unknown) => {
      // The connection broke: what the machine did tells why.
      if (isLost(error)) return undefined;
      throw error;
    });
    try {
      return (await Promise.race([apps, machine])) ?? (await machine);
    } finally {
      this.#begun.resolve();
      this.guest.kill();
      this.guest.close();
      await machineEnd.catch(() => {});
    }
  }

  async #lead(): Promise<void> {
    const network = this.#options.network?.(this.guest, this.#stopping.signal);
    network?.catch(() => {});
    await this.#sandbox.process.started;
    const { metadata } = this.#options;
    if (metadata !== undefined) await this.guest.listen(METADATA_LISTEN, (stream) => void metadata.take(stream));
    const given = await network?.catch((error: unknown) => {
      if (this.#stopped !== undefined) return undefined;
      throw error;
    });
    if (given !== undefined) {
      await this.guest.network(given.config);
      this.#given = given;
    }
    // Not before plugins have run: nothing can be started any more.
    this.guest.machine.confine();
    const started = this.#stopped === undefined ? this.#first.map((plan) => this.#start(plan)) : [];
    this.#begun.resolve();
    await Promise.all(started);
    await Promise.all(this.#first.filter(({ spec }) => spec.notify === true).map(({ name }) => this.#apps.get(name)?.container?.process.ready));
    if (this.#stopped === undefined) this.#listener.ready?.();
    this.#ending();
    await this.#over.promise;
    await this.#stopped;
    // What apps have changed by memory maps is on the host then.
    await this.guest.sync().catch(() => {});
  }

  /** Starts an app of a pod that runs. Resolves when its command runs, or is known not to. */
  startApp(plan: AppPlan): Promise<void> {
    if (this.#apps.get(plan.name)?.container !== undefined) throw new VmmError('POD_APP', `app ${plan.name} runs already`, { hint: 'stop it first' });
    return this.#start(plan);
  }

  /** Makes directories and files of the host ones that apps started later can have. */
  async addShares(shares: readonly ShareExport[]): Promise<void> {
    for (const share of shares) await this.guest.addShare(share);
  }

  /** When this resolves nothing of it is open on the host. */
  withdrawShare(name: string): Promise<void> {
    return this.guest.withdrawShare(name);
  }

  /** Stops an app: its stop signal, SIGKILL after the time. Resolves when it has ended. */
  async stopApp(name: string): Promise<void> {
    const app = this.#apps.get(name);
    if (app?.container === undefined) throw new VmmError('POD_APP', `app ${name} does not run`, { hint: 'rkt app list tells what does' });
    app.stopping = true;
    const { container } = app;
    const kill = setTimeout(() => {
      void container.signal(SIGKILL).catch(() => {});
      void app.handler?.signal(SIGKILL).catch(() => {});
    }, this.#options.stopMs ?? STOP_MS);
    await container.process.signal(app.plan.spec.stopSignal ?? SIGTERM).catch(() => {});
    await app.over;
    clearTimeout(kill);
  }

  /** Resolves when the app's command runs, or is known not to; the pod may still be booting. */
  async settled(name: string): Promise<void> {
    if (this.#first.some((plan) => plan.name === name)) await this.#begun.promise;
    await this.#apps.get(name)?.settled;
  }

  /** Runs another process in an app. Throws POD_APP when it does not run. */
  exec(name: string, spec: (app: ContainerSpec) => ProcessSpec): ProcessHandle {
    const app = this.#apps.get(name);
    if (app?.container === undefined) throw new VmmError('POD_APP', `app ${name} does not run`, { hint: `apps that run: ${this.running.join(', ') || 'none'}` });
    return app.container.exec(spec(this.#spec(app)));
  }

  get running(): string[] {
    return [...this.#apps].filter(([, { container }]) => container !== undefined).map(([name]) => name);
  }

  /** An orderly end: each app gets its stop signal, and SIGKILL after the time; `run` then resolves with their ends. */
  stop(): void {
    this.#stopped ??= this.#stopAll();
    this.#stopping.abort();
  }

  async #stopAll(): Promise<void> {
    const apps = [...this.#apps.values()];
    // A handler is told to end, too: it may wait for what does not come any more.
    const handlers = apps.filter(({ handler }) => handler !== undefined);
    for (const { handler } of handlers) void handler?.signal(SIGTERM).catch(() => {});
    const kill = setTimeout(() => apps.forEach(({ handler }) => void handler?.signal(SIGKILL).catch(() => {})), this.#options.stopMs ?? STOP_MS);
    await Promise.all(this.running.map((name) => this.stopApp(name).catch(() => {})));
    await Promise.all(apps.map(({ over }) => over));
    clearTimeout(kill);
    this.#over.resolve();
  }

  #start(plan: AppPlan): Promise<void> {
    const app: Running = { plan, container: undefined, handler: undefined, settled: Promise.resolve(), over: Promise.resolve(), stopping: false };
    this.#apps.set(plan.name, app);
    app.settled = new Promise((resolve) => {
      app.over = this.#live(app, resolve).then(
        (end) => this.#ended(app, end),
        (error: unknown) => {
          resolve();
          // Else the session is over: so is the pod, and the machine tells why.
          if (error instanceof VmmError && !isLost(error)) this.#ended(app, { kind: 'failed', error });
        },
      );
    });
    return app.settled;
  }

  /** An app from its pre-start handler to its post-stop handler. */
  async #live(app: Running, settled: () => void): Promise<AppEnd> {
    const { name, handlers } = app.plan;
    try {
      const before = handlers['pre-start'];
      if (before !== undefined) {
        const { status } = await this.#handler(app, before);
        if (status !== 0) throw new VmmError('POD_APP', `app ${name}: its pre-start handler ended with ${status}`, { hint: 'its output says more' });
      }
      if (this.#stopped !== undefined) throw new VmmError('POD_APP', `app ${name}: the pod was stopped before it ran`);
      const container = this.guest.create({ ...this.#spec(app), namespaces: this.#namespaces() });
      this.#listen(name, container);
      await container.process.started;
      app.container = container;
      // The pod was stopped while this was being started.
      if (this.#stopped !== undefined) void this.stopApp(name).catch(() => {});
      this.#listener.started?.(name, container.process);
      settled();
      const status = await container.process.wait();
      app.container = undefined;
      const after = handlers['post-stop'];
      if (after !== undefined) {
        const { status: last } = await this.#handler(app, after);
        if (last !== 0) this.#listener.note?.(`app ${name}: its post-stop handler ended with ${last}`);
      }
      return { kind: 'exited', status };
    } finally {
      app.container = undefined;
      settled();
    }
  }

  /** Runs an event handler in the app's root and environment, as root. */
  #handler(app: Running, args: readonly string[]): Promise<ExitStatus> {
    const spec = this.#spec(app);
    const bounding = spec.capabilities?.bounding ?? 0n;
    const { groups: _groups, notify: _notify, activated: _activated, ...rest } = spec;
    const capabilities = { bounding, effective: bounding, permitted: bounding, inheritable: 0n, ambient: 0n };
    const container = this.guest.create({ ...rest, args, user: '0:0', capabilities, stdin: false, tty: false, stdout: true, stderr: true, namespaces: this.#namespaces() });
    this.#listen(app.plan.name, container);
    app.handler = container;
    return container.process.wait().finally(() => {
      app.handler = undefined;
    });
  }

  #spec({ plan: { spec } }: Running): ContainerSpec {
    const { files, env } = this.#given;
    return { ...spec, files: [...(spec.files ?? []), ...files], env: [...spec.env, ...env, ...metadataEnv(this.#options.metadata)] };
  }

  #namespaces(): NonNullable<ContainerSpec['namespaces']> {
    const join = { container: this.#sandbox.id };
    return { pid: join, uts: join, ipc: join };
  }

  #listen(name: string, { process }: GuestContainer): void {
    process.onStdout((bytes) => this.#listener.output(name, 'stdout', bytes));
    process.onStderr((bytes) => this.#listener.output(name, 'stderr', bytes));
  }

  #ended(app: Running, end: AppEnd): void {
    const { name } = app.plan;
    this.#ends.set(name, end);
    const status = appStatus(end);
    // A pod whose apps come and go outlives them, and is not judged by them.
    if (this.#options.mutable !== true && status !== 0 && this.#status === 0 && !(app.stopping && end.kind === 'exited' && end.status.signal !== undefined)) this.#status = status;
    this.#listener.ended?.(name, end);
    this.#ending(status);
  }

  /** The pod ends with its last app, or with the first that does not end with 0; a mutable one when it is told to. */
  #ending(status = 0): void {
    if (this.#options.mutable === true) return;
    if (status !== 0) this.stop();
    else if (this.#first.every(({ name }) => this.#ends.has(name))) this.#over.resolve();
  }
}

/** NAME=VALUE for the apps of a pod with such a service. */
export function metadataEnv(metadata: GuestMetadata | undefined): readonly string[] {
  return metadata === undefined ? [] : [`AC_METADATA_URL=${metadata.url}`];
}

/** The session with init is over; what init answers is an AgentError. */
function isLost(error: unknown): boolean {
  return error instanceof VmmError && !(error instanceof AgentError) && ['AGENT_CLOSED', 'AGENT_LOST', 'AGENT_FATAL', 'AGENT_PROTOCOL'].includes(error.code);
}

const SIGKILL = 9;
const SIGTERM = 15;
