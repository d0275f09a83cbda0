/** Plays rkt's stage0 towards the stage1 of this tree: directories, locks, overlays, command lines, environment, descriptors, moves (rkt 1.30, and 0.8 where asked). */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, lstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HANG_MS } from '../support/limits.ts';
import { Watched } from '../support/watched.ts';
import { ROOT } from '../support/cli/cli.ts';

/** The image's layout, built once. */
export function buildStage1(): string {
  const folder = join(ROOT, '.cache/stage1');
  mkdirSync(folder, { recursive: true });
  // Files of tests that run at once share it.
  execFileSync('flock', [join(folder, 'lock'), process.execPath, join(ROOT, 'scripts/stage1.mjs'), '--layout-only'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'], timeout: HANG_MS });
  return join(folder, 'layout');
}

export interface AppSpec {
  readonly name: string;
  /** A directory that the app's root overlays, or is copied from. */
  readonly rootfs: string;
  /** The `app` object of the image's manifest. */
  readonly app: Record<string, unknown>;
  /** Further fields of the image's manifest. */
  readonly image?: Record<string, unknown>;
  /** Further fields of the app's entry in the pod manifest. */
  readonly entry?: Record<string, unknown>;
}

export interface PodSpec {
  readonly apps: readonly AppSpec[];
  /** Further fields of the pod manifest. */
  readonly pod?: Record<string, unknown>;
  readonly overlay?: boolean;
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A data directory of rkt, with the pods that were made in it. */
export class Stage0 {
  readonly data = mkdtempSync(join(tmpdir(), 'vmm-rkt-'));
  readonly #stage1: string;
  readonly #mounts: string[] = [];
  /** A network namespace that stands for the host's. */
  readonly #namespace: string | undefined;

  constructor(stage1Layout: string, namespace?: string) {
    this.#stage1 = stage1Layout;
    this.#namespace = namespace;
    mkdirSync(join(this.data, 'pods/run'), { recursive: true });
    mkdirSync(join(this.data, 'pods/exited-garbage'), { recursive: true });
  }

  /** The treestore's copy, from which `rkt enter` runs. */
  get tree(): string {
    return join(this.#stage1, 'rootfs');
  }

  /** A program and its arguments, started on the host as the test has it. */
  command(program: string, args: readonly string[]): [string, string[]] {
    return this.#namespace === undefined ? [program, [...args]] : ['nsenter', [`--net=/run/netns/${this.#namespace}`, program, ...args]];
  }

  /** A variable that entry points must not heed; nsenter would. */
  get foreign(): Record<string, string> {
    return this.#namespace === undefined ? { LD_PRELOAD: '/nonexistent.so' } : {};
  }

  prepare(spec: PodSpec): Pod {
    const uuid = randomUUID();
    const dir = join(this.data, 'pods/run', uuid);
    const s1 = join(dir, 'stage1/rootfs');
    mkdirSync(s1, { recursive: true, mode: 0o750 });
    this.#layer(this.tree, join(dir, 'overlay/stage1'), s1, spec.overlay ?? true);
    writeFileSync(join(dir, 'stage1/manifest'), readFileSync(join(this.#stage1, 'manifest')));
    for (const app of spec.apps) this.addApp(dir, app, spec.overlay ?? true);
    const apps = spec.apps.map(podEntry);
    const manifest = { acVersion: '1.30.0', acKind: 'PodManifest', apps, volumes: null, isolators: null, annotations: null, ports: [], ...spec.pod };
    writeFileSync(join(dir, 'pod'), JSON.stringify(manifest), { mode: 0o640 });
    writeFileSync(join(dir, 'pod-created'), '');
    writeFileSync(join(dir, 'pod.lck'), '', { mode: 0o600 });
    return new Pod(this, uuid, dir);
  }

  /** An app's image and root in the pod's directory. */
  addApp(dir: string, { name, rootfs, app, image: more }: AppSpec, overlay: boolean): void {
    const at = join(dir, 'stage1/rootfs/opt/stage2', name);
    mkdirSync(join(at, 'rootfs'), { recursive: true, mode: 0o750 });
    const image = { acKind: 'ImageManifest', acVersion: '0.8.11', name: `example.com/${name}`, labels: [{ name: 'os', value: 'linux' }, { name: 'arch', value: 'amd64' }], app, ...more };
    writeFileSync(join(at, 'manifest'), JSON.stringify(image), { mode: 0o644 });
    this.#layer(rootfs, join(dir, 'overlay/app', name), join(at, 'rootfs'), overlay);
  }

  #layer(lower: string, above: string, target: string, overlay: boolean): void {
    if (!overlay) {
      execFileSync('cp', ['-a', `${lower}/.`, target], { timeout: HANG_MS });
      return;
    }
    for (const part of ['upper', 'work']) mkdirSync(join(above, part), { recursive: true });
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${join(above, 'upper')},workdir=${join(above, 'work')}`, target], { timeout: HANG_MS });
    this.#mounts.push(target);
  }

  /** As stage0 deletes a pod: all mounts below it go; then all is removed. What does not go is an error. */
  unmount(from: string, now = from): void {
    for (const target of this.#mounts.filter((each) => each.startsWith(`${from}/`)).reverse()) {
      execFileSync('umount', [target.replace(from, now)], { timeout: HANG_MS });
      this.#mounts.splice(this.#mounts.indexOf(target), 1);
    }
  }

  close(): void {
    for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n').reverse()) {
      const target = line.split(' ')[1] ?? '';
      if (target.startsWith(`${this.data}/`)) spawnSync('umount', ['-l', target], { timeout: HANG_MS });
    }
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** An app in the pod manifest. */
function podEntry({ name, entry }: AppSpec): Record<string, unknown> {
  return { name, image: { name: `example.com/${name}`, id: `sha512-${'0'.repeat(64)}`, labels: null }, mounts: null, ...entry };
}

export class Pod {
  readonly stage0: Stage0;
  readonly uuid: string;
  dir: string;

  constructor(stage0: Stage0, uuid: string, dir: string) {
    this.stage0 = stage0;
    this.uuid = uuid;
    this.dir = dir;
  }

  get s1(): string {
    return join(this.dir, 'stage1/rootfs');
  }

  /** execve of the run entry point, with the pod's lock held open as rkt's `flock` on descriptor 7. */
  run(flags: readonly string[] = ['--net=none', '--local-config=/etc/rkt'], { env: more = {}, lockFd = 7 }: { readonly env?: Record<string, string>; readonly lockFd?: number } = {}): RunningPod {
    const lock = openSync(this.dir, 'r');
    const path = join(this.s1, 'run');
    const env = { PATH: process.env['PATH'], ...this.stage0.foreign, NODE_OPTIONS: '--no-such-option', RKT_LOCK_FD: `${lockFd}`, RKT_SELINUX_CONTEXT: '', RKT_SELINUX_MOUNT_CONTEXT: '', ...more };
    execFileSync('flock', ['-xn', '3'], { stdio: ['ignore', 'ignore', 'inherit', lock], timeout: HANG_MS });
    const child = spawn(...this.stage0.command(path, [...flags, this.uuid]), { cwd: this.dir, env, stdio: ['ignore', 'pipe', 'pipe', ...Array<'ignore'>(lockFd - 3).fill('ignore'), lock] });
    closeSync(lock);
    return new RunningPod(this, child);
  }

  /** Is it running, as rkt asks it: by a shared lock. */
  get locked(): boolean {
    const fd = openSync(this.dir, 'r');
    try {
      return spawnSync('flock', ['-sn', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd], timeout: HANG_MS }).status !== 0;
    } finally {
      closeSync(fd);
    }
  }

  status(app: string): string | undefined {
    const path = join(this.s1, 'rkt/status', app);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }

  get ready(): boolean {
    const path = join(this.s1, 'rkt/supervisor-status');
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined && readlinkSync(path) === 'ready';
  }

  /** `rkt enter`, from the treestore's copy. */
  enter(args: readonly string[], app = 'app', input = ''): Promise<Ended> {
    const pid = Number(readFileSync(join(this.dir, 'pid'), 'utf8'));
    return ended(spawn(join(this.stage0.tree, 'enter'), [`--pid=${pid}`, `--appname=${app}`, '--', ...args], { cwd: this.dir, env: { PATH: process.env['PATH'], TERM: 'vt220' } }), input);
  }

  /** `rkt app add`: the app's files first, then the pod manifest with it, then the entry point. */
  addApp(app: AppSpec): Promise<Ended> {
    this.stage0.addApp(this.dir, app, true);
    const manifest = JSON.parse(readFileSync(join(this.dir, 'pod'), 'utf8')) as { apps: unknown[] };
    manifest.apps = [...(manifest.apps ?? []), podEntry(app)];
    writeFileSync(join(this.dir, 'pod.tmp'), `${JSON.stringify(manifest)}\n`, { mode: 0o640 });
    renameSync(join(this.dir, 'pod.tmp'), join(this.dir, 'pod'));
    writeFileSync(join(this.s1, 'rkt/status', `${app.name}-created`), '');
    return this.app('add', app.name, `--uuid=${this.uuid}`);
  }

  /** One of `rkt app`'s entry points, in the environment that stage0 gives them. */
  app(what: 'add' | 'start' | 'stop' | 'rm', name: string, ...more: readonly string[]): Promise<Ended> {
    const env = { RKT_STAGE1_ENTERCMD: join(this.s1, 'enter'), RKT_STAGE1_ENTERPID: readFileSync(join(this.dir, 'pid'), 'utf8').trim(), PATH: process.env['PATH'] };
    return ended(spawn(join(this.s1, `app-${what}`), ['--debug=false', ...more, `--app=${name}`], { cwd: this.dir, env, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** `rkt attach`. */
  attach(args: readonly string[], input = '', app = 'app'): Promise<Ended> {
    return ended(spawn(join(this.s1, 'attach'), [...args, `--app=${app}`, '--debug=false'], { cwd: this.dir, stdio: 'pipe' }), input);
  }

  /** As `rkt app rm` does it after its entry point: a file that is open below makes this an error. */
  unmountApp(name: string): void {
    execFileSync('umount', [join(this.s1, 'opt/stage2', name, 'rootfs')], { timeout: HANG_MS });
  }

  stop(...flags: readonly string[]): Promise<Ended> {
    return ended(spawn(join(this.s1, 'stop'), [...flags, this.uuid], { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** `rkt gc` of 0.8 after a reboot: nothing is mounted in the pod any more, and the treestore's copy of the entry point runs. */
  async gcOf08(): Promise<Ended> {
    this.stage0.unmount(this.dir);
    const now = join(this.stage0.data, 'pods/exited-garbage', this.uuid);
    renameSync(this.dir, now);
    this.dir = now;
    return ended(spawn(...this.stage0.command(join(this.stage0.tree, 'gc'), [this.uuid]), { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** `rkt gc`: the pod moves to exited-garbage, its entry point runs there; it may be killed after some milliseconds. */
  async gc(killedAfter?: number): Promise<Ended> {
    const now = join(this.stage0.data, 'pods/exited-garbage', this.uuid);
    if (this.dir !== now) {
      renameSync(this.dir, now);
      this.dir = now;
    }
    const child = spawn(...this.stage0.command(join(this.s1, 'gc'), ['--local-config', '/etc/rkt', this.uuid]), { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    if (killedAfter !== undefined) setTimeout(() => child.kill('SIGKILL'), killedAfter);
    return ended(child);
  }

  /** What stage0 does after gc. */
  remove(): void {
    this.stage0.unmount(join(this.stage0.data, 'pods/run', this.uuid), this.dir);
    rmSync(this.dir, { recursive: true });
  }
}

/** The end of one that is given all its input; one that takes longer than `limit` ms is killed. */
export function ended(child: ChildProcess, input = '', limit = HANG_MS / 5): Promise<Ended> {
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return new Watched(child, limit).ended;
}

export class RunningPod {
  readonly pod: Pod;
  readonly child: ChildProcess;
  readonly #watched: Watched;

  constructor(pod: Pod, child: ChildProcess) {
    this.pod = pod;
    this.child = child;
    this.#watched = new Watched(child);
  }

  end(): Promise<Ended> {
    return this.#watched.ended;
  }

  /** Resolves with the pod's output when it has `text`; rejects when the pod ends before. */
  said(text: string): Promise<string> {
    return this.#watched.until(text, 'stdout');
  }

  /** Resolves when the pod's directory says so; rejects when the pod ends before. */
  shows(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    return this.#watched.untilTrue(what, condition);
  }
}
