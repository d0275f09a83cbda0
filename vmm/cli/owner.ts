/** The process that owns a container which is kept: it is the machine, and what answers on the container's socket. */
import { constants } from 'node:os';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ContainerEnded, type ContainerIo, type ContainerResult, ContainerRun } from '../api/containers.ts';
import { type Ask, type ContainerEnd, type ContainerLife, type ContainerRecord, Denials, EventWriter, eventOf, HealthWatch, type LogSink, LogWriter, NO_LOG, passes, type Reply, Restarts, serve, type StateFolder } from '../api/owner.ts';
import type { PublishedPort } from '../api/machine.ts';
import { describeError, oneLine } from './describe.ts';
import type { OwnedContainer } from './owned.ts';
import { READY, STOP_SECONDS } from './owner-ask.ts';
import { OwnerGuests } from './owner-guests.ts';
import { probeOf } from './owner-health.ts';
import { OwnerDevices } from './owner-devices.ts';
import { cardsOf, containerOf, machineOf } from './owner-run.ts';
import { optionsOf } from './record-options.ts';
import { OwnerService, refusedBy } from './owner-service.ts';
import type { OwnerTold } from './owner-told.ts';
import { shortages } from './shortage.ts';
import * as STATUS from './status.ts';

const { SIGKILL } = constants.signals;
/** How long a container's machine may take to end what was killed, before it goes itself, ms. */
const KILLED_MS = 10_000;
/** How long the client of `start -a` may take to be attached before the command starts without it, ms. */
const ATTACH_MS = 10_000;

/** One life of a container, from `start` to its end for good. */
export class Owner {
  readonly #state: StateFolder;
  readonly #record: ContainerRecord;
  readonly #client: OwnerTold;
  /** It goes with the client that has started it. */
  readonly #bound: boolean;
  readonly #restarts: Restarts;
  readonly #ended = Promise.withResolvers<number>();
  /** Aborted when it is not to be started again. */
  readonly #last = new AbortController();
  /** Aborted when nobody wants its machine any more. */
  readonly #unwanted = new AbortController();
  readonly #denials = new Denials((denied) => {
    const { target, why } = denied.last.at(-1) ?? {};
    this.#event('deny', { count: `${denied.count}`, target: target ?? '', reason: why ?? '' });
    this.#now({ denied });
  });
  readonly #events: EventWriter;
  readonly #service = new OwnerService((paused) => {
    this.#now({ paused });
    this.#event(paused ? 'pause' : 'unpause');
  }, (action, more) => this.#event(action, more));
  #life: ContainerLife;
  /** A client starts or removes it next: nothing of it goes at the end of this life. */
  #keep = false;
  /** Its time is over. */
  #late = false;
  /** It was asked to stop. */
  #stopped = false;
  #run: OwnedContainer | undefined;
  /** Containers of others in our machine. */
  #guests: OwnerGuests | undefined;
  /** When those are killed at the latest, ms of performance.now(). */
  #by = Number.POSITIVE_INFINITY;
  /** Its own command has ended, theirs not yet: who ends the machine now would cut them off. */
  #outlived = false;
  #health: HealthWatch | undefined;
  #devices: OwnerDevices | undefined;

  /** `before`: its last life. */
  constructor(state: StateFolder, record: ContainerRecord, before: ContainerLife | undefined, client: OwnerTold) {
    this.#state = state;
    this.#record = record;
    this.#client = client;
    this.#restarts = new Restarts(record.restart);
    // Opened before the process gives up its rights.
    this.#events = new EventWriter(state.events);
    const { ran = false, left } = before ?? {};
    this.#bound = record.bound === true && left !== true;
    this.#life = { pid: process.pid, ran, restarts: 0, started: undefined, end: undefined, restarting: false, ...(left === undefined ? {} : { left }) };
  }

  /** `waits`: the command does, for a client that is attached; to whom this is said, then. */
  async live(waits?: string): Promise<number> {
    const { id } = this.#record;
    const folder = this.#state.folder(id);
    rmSync(this.#state.socket(id), { force: true }); // of an owner that was killed
    const server = await serve(this.#state.socket(id), (ask) => this.#answer(ask));
    this.#now({});
    process.on('SIGTERM', () => this.#terminated());
    const log = logFor(this.#record, folder);
    const timer = this.#endInTime();
    let end: ContainerEnd;
    try {
      this.#run = await containerOf(this.#record, this.#state, this.#output(log), { published: (port, host) => this.#chose(port, host), denied: (denied) => this.#denials.add(denied) });
      if (this.#run instanceof ContainerRun) this.#begin(this.#run);
      this.#now({ machine: await machineOf(this.#record, this.#state), cards: cardsOf(this.#run.network) });
      this.#whenStarted();
      if (waits !== undefined) {
        this.#service.waited = true;
        if (this.#bound) this.#service.bound = (detached) => this.#left(detached);
        if (this.#client.say(READY, waits)) await Promise.race([this.#service.attached, sleep(ATTACH_MS)]);
      }
      if (this.#bound && !this.#service.joined) this.#unwanted.abort();
      const result = await this.#run.run({ again: (ended) => this.#goesOn(ended), signal: this.#unwanted.signal });
      end = this.#endOf(result);
      this.#tellShortage(result, this.#run.space);
    } catch (cause) {
      end = this.#endOf({ kind: 'refused', error: cause });
    }
    clearTimeout(timer);
    this.#health?.stop();
    this.#devices?.close();
    this.#guests?.close();
    log.close();
    this.#denials.close();
    this.#service.ended(end);
    const ran = this.#life.started !== undefined || this.#restarts.count > 0;
    const waited = this.#life.restarting;
    this.#now({ end, restarting: false });
    if (ran && !waited) this.#died(end);
    if (ran && this.#stopped) this.#event('stop');
    if (passes(this.#record, this.#life) && !this.#keep) {
      this.#state.empty(id);
      this.#event('destroy');
    }
    const closing = server.close();
    this.#ended.resolve(end.status);
    if (!ran) this.#client.failed(end.status, end.error ?? `vmm: the ${this.#late ? 'time was over' : 'machine ended'} before the container had started\n`);
    await closing;
    return end.status;
  }

  /** What a machine of our own can have besides. */
  #begin(run: ContainerRun): void {
    this.#guests = new OwnerGuests(this.#state, this.#record.id);
    this.#devices = new OwnerDevices(run, this.#record, this.#state, (change, action, about) => {
      this.#told(change);
      this.#event(action, about);
    });
  }

  #output(log: LogSink): ContainerIo {
    const put = (stream: 'stdout' | 'stderr') => (bytes: Uint8Array): void | Promise<void> => {
      log.write(stream, bytes);
      return this.#service.output(stream, bytes);
    };
    return { stdout: put('stdout'), stderr: put('stderr'), note: (text, about) => this.#trouble(log, text, about) };
  }

  /** What the machine tells of itself while it goes on is in the log, and seen in a list. */
  #trouble(log: LogSink, text: string, about?: 'accelerator'): void {
    if (about !== undefined) return;
    const line = oneLine(text);
    log.write('stderr', Buffer.from(`vmm: ${line}\n`));
    void this.#service.output('stderr', this.#lineOf(line));
    this.#told({ trouble: line });
  }

  /** As --timeout says, of each start by a client; restarts are within it. */
  #endInTime(): NodeJS.Timeout | undefined {
    const { timeout } = optionsOf(this.#record).options;
    if (timeout === undefined) return undefined;
    return setTimeout(() => {
      this.#late = true;
      void this.#service.output('stderr', this.#lineOf(`ended after ${timeout.text}, as --timeout says`));
      if (this.#run === undefined) this.#unwanted.abort();
      else void this.#answer({ ask: 'stop', seconds: 0 });
    }, timeout.ms);
  }

  /** By a signal: what has not begun to run yet need not. */
  #terminated(): void {
    if (this.#run === undefined) this.#unwanted.abort();
    else void this.#answer({ ask: 'stop', seconds: this.#life.started === undefined ? 0 : (this.#record.stopTimeout ?? STOP_SECONDS) });
  }

  /** The client that has started it is gone. */
  #left(detached: boolean): void {
    if (this.#life.end !== undefined) return;
    if (detached) this.#told({ left: true });
    else void this.#answer({ ask: 'stop', seconds: 0 });
  }

  /** Those who are attached see what the status does not say. */
  #tellShortage(result: ContainerResult, space: OwnedContainer['space']): void {
    if (result.kind !== 'exited') return;
    for (const line of shortages(result.status, space, this.#life.machine?.memory)) void this.#service.output('stderr', this.#lineOf(line));
  }

  /** On a terminal that is raw a line ends with CR LF. */
  #lineOf(text: string): Buffer {
    return Buffer.from(`vmm: ${oneLine(text)}${this.#run?.spec.tty ? '\r' : ''}\n`);
  }

  #whenStarted(): void {
    void this.#run?.process.started.then(() => {
      this.#now({ ran: true, started: new Date().toISOString() });
      this.#event('start');
      this.#watchHealth();
      this.#client.started();
    }, () => {});
  }

  /** From a start of the command to its end. */
  #watchHealth(): void {
    const { health } = this.#record;
    const run = this.#run;
    if (health === undefined || run === undefined) return;
    this.#health = new HealthWatch(health, probeOf(health, () => run, () => this.#life.paused === true), (now) => {
      if (now.status !== this.#life.health?.status) this.#event(`health_status: ${now.status}`);
      this.#told({ health: now });
    });
  }

  /** A port of the host's, where its number or its addresses were left to that. */
  #chose({ protocol, address, guest }: PublishedPort, host: number): void {
    const ports = (this.#life.ports ?? this.#record.ports ?? []).slice();
    const at = ports.findIndex((each) => (each.host === 0 || (host >= each.host && host <= (each.hostLast ?? each.host))) && each.protocol === protocol && (each.address ?? address) === address && each.guest === guest);
    const known = ports[at];
    if (known === undefined || (known.host === host && known.hostLast === undefined && known.address === address)) return;
    ports[at] = { ...known, address, host, hostLast: undefined };
    this.#now({ ports });
  }

  /** What is known from now on. */
  #now(change: Partial<ContainerLife>): void {
    this.#life = { ...this.#life, ...change };
    this.#state.writeLife(this.#record.id, this.#life);
  }

  #died({ status, outOfMemory }: ContainerEnd): void {
    if (outOfMemory) this.#event('oom');
    this.#event('die', { exitCode: `${status}` });
  }

  #event(action: string, more?: Readonly<Record<string, string>>): void {
    this.#events.write(eventOf(this.#record, action, more));
  }

  /** The same, of what the container can do without being seen. */
  #told(change: Partial<ContainerLife>): void {
    try {
      this.#now(change);
    } catch {
      // the disk is full
    }
  }

  /** Else those who are in its machine end first. */
  async #goesOn(ended: ContainerEnded): Promise<boolean> {
    if (await this.#again(ended)) return true;
    this.#outlived = this.#guests !== undefined;
    await this.#guests?.end(this.#by);
    return false;
  }

  /** A container's end: is it started again, and when? */
  async #again(ended: ContainerEnded): Promise<boolean> {
    this.#health?.stop();
    const { started } = this.#life;
    // As with Docker one that never ran is not tried again.
    if (this.#last.signal.aborted || (started === undefined && this.#restarts.count === 0)) return false;
    const end = this.#endOf(ended);
    const wait = this.#restarts.after(end.status, started === undefined ? 0 : Date.now() - Date.parse(started));
    if (wait === undefined) return false;
    this.#died(end);
    this.#service.ended(end);
    this.#now({ end, restarting: true, paused: false });
    try {
      await sleep(wait, undefined, { signal: this.#last.signal });
    } catch {
      return false; // stopped meanwhile
    }
    this.#now({ restarting: false, end: undefined, started: undefined, restarts: this.#restarts.count });
    setImmediate(() => this.#whenStarted());
    return true;
  }

  #endOf(result: ContainerResult | { readonly kind: 'refused'; readonly error: unknown }): ContainerEnd {
    return {
      status: this.#late ? STATUS.STATUS_TIMEOUT : statusOf(result),
      started: this.#life.started,
      finished: new Date().toISOString(),
      error: result.kind === 'failed' || result.kind === 'refused' ? describeError(result.error) : undefined,
      outOfMemory: result.kind === 'exited' && result.status.outOfMemory,
    };
  }

  async #answer(ask: Ask): Promise<Reply> {
    if (ask.ask === 'wait') {
      const status = await this.#ended.promise;
      return { done: true, status, ...(this.#late ? { late: true } : {}) };
    }
    const run = this.#run;
    if (run === undefined) return { done: false, code: 'CONTAINER_STATE', message: 'the container is still being started' };
    if (ask.ask === 'join' || ask.ask === 'inside') return this.#forOthers(ask, run);
    if (ask.ask === 'signal') {
      this.#event('kill', { signal: `${ask.signal}` });
      if (ask.signal === SIGKILL) this.#by = 0;
      if (ask.signal === SIGKILL) await this.#service.thaw(run);
      if (ask.signal === SIGKILL || ask.signal === run.stopSignal) this.#last.abort();
      await run.process.signal(ask.signal).catch(() => {});
      return { done: true };
    }
    if (ask.ask === 'update') {
      if (ask.restart !== undefined) this.#restarts.policy = ask.restart;
      return this.#service.answer(ask, run);
    }
    if (ask.ask === 'plug' || ask.ask === 'unplug') return this.#devices === undefined ? notHere() : this.#devices.answer(ask, this.#life, this.#service.held);
    return ask.ask === 'stop' ? this.#stop(ask, run) : this.#service.answer(ask, run);
  }

  /** It and those in its machine at once, with one time for all. */
  async #stop({ seconds, keep }: Ask & { ask: 'stop' }, run: OwnedContainer): Promise<Reply> {
    this.#last.abort();
    this.#keep ||= keep === true;
    this.#stopped = true;
    this.#by = Math.min(this.#by, performance.now() + seconds * 1000);
    this.#event('kill', { signal: `${seconds > 0 ? run.stopSignal : SIGKILL}` });
    void this.#guests?.end(this.#by);
    const cut = (): void => {
      if (!this.#outlived) run.kill();
    };
    const timers = [setTimeout(cut, seconds * 1000 + KILLED_MS)];
    await Promise.race([this.#service.thaw(run), this.#ended.promise]);
    timers.push(setTimeout(() => void run.process.signal(SIGKILL).catch(cut), Math.max(0, this.#by - performance.now())));
    if (seconds > 0) void run.process.signal(run.stopSignal).catch(() => {});
    const status = await this.#ended.promise;
    for (const timer of timers) clearTimeout(timer);
    return { done: true, status };
  }

  /** Of the process of a container in our machine. */
  async #forOthers(ask: Ask & { ask: 'join' | 'inside' }, run: OwnedContainer): Promise<Reply> {
    if (!(run instanceof ContainerRun) || this.#guests === undefined) return notHere();
    try {
      return await (ask.ask === 'join' ? this.#guests.join(run, ask) : this.#guests.inside(run, ask));
    } catch (error) {
      return refusedBy(error);
    }
  }
}

function notHere(): Reply {
  return { done: false, code: 'CONTAINER_STATE', message: 'the container has no machine of its own: it has joined the network of another', hint: 'name that one' };
}

function logFor({ log }: ContainerRecord, folder: string): LogSink {
  return log?.driver === 'none' ? NO_LOG : new LogWriter(folder, log?.maxSize, log?.maxFiles);
}

function statusOf(result: ContainerResult | { readonly kind: 'refused' }): number {
  switch (result.kind) {
    case 'exited':
      return result.status.status;
    case 'failed':
      return result.status;
    case 'machine':
      return result.result.kind === 'stopped' ? 128 + SIGKILL : STATUS.STATUS_VMM_ERROR;
    case 'refused':
      return STATUS.STATUS_VMM_ERROR;
  }
}
