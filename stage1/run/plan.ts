/** From the pod's directory to what its machine is asked for. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from '../../image/appc/schema/app.ts';
import { isolationOf } from '../../image/appc/schema/isolation.ts';
import type { RuntimeApp, Volume } from '../../image/appc/schema/pod-manifest.ts';
import type { GrantedDevice, ProvidedFile } from '../../vmm/api/containers.ts';
import { appEnvironment, bounded, inside, podBounds, supportsNotify, type PodApp, type PodPlan, planPod } from '../../vmm/api/pods.ts';
import { Failure, oneLine } from '../common/failure.ts';
import type { RunOptions } from './options.ts';
import type { OutputMode } from './outputs.ts';
import { appRoot, isOfDocker, type LocalConfig, makeStandardDirectories, parseLocalConfig, readImage, S1, textOf, volumePlace } from './pod-files.ts';
import type { ReadPod } from './pod-files.ts';
import { commandOf, userOf } from './users.ts';

type StdinMode = 'null' | 'stream' | 'tty' | 'interactive';

/** How an app's streams are joined, by the annotations that stage0 makes of --stdin, --stdout and --stderr. */
export interface Streams {
  readonly stdin: StdinMode;
  readonly stdout: OutputMode;
  readonly stderr: OutputMode;
}

export interface PlannedPod {
  readonly plan: PodPlan;
  readonly apps: readonly App[];
  readonly bounds: ReturnType<typeof podBounds>;
  readonly streams: ReadonlyMap<string, Streams>;
}

/** The one for all `*.json` of `<local-config>/vmm.d`, later names over earlier ones. Throws Failure. */
export function localConfig(folder: string): LocalConfig {
  let names: string[];
  try {
    names = readdirSync(join(folder, 'vmm.d')).filter((name) => name.endsWith('.json')).sort();
  } catch {
    return {};
  }
  return Object.assign({}, ...names.map((name) => parseLocalConfig(join(folder, 'vmm.d', name), textOf(join(folder, 'vmm.d', name)) ?? ''))) as LocalConfig;
}

/** rkt's inaccessible paths, but for those that every container has masked; what it has read-only is so here in any case. */
const INACCESSIBLE = ['/sys/fs', '/sys/hypervisor', '/sys/module', '/sys/power', '/proc/config.gz', '/proc/kallsyms', '/proc/kmem', '/proc/mem'];

/** In each app's /dev, as with rkt's other flavours; what it is good for takes CAP_NET_ADMIN. */
const TUN: GrantedDevice = { node: { target: '/dev/net/tun', type: 'c', major: 10, minor: 200, mode: 0o666 }, access: 'rwm' };

/** The whole pod, or the one app of it that is added to those that run. Throws Failure, VmmError. */
export function planned({ manifest: whole }: ReadPod, options: RunOptions, config: LocalConfig, added?: { readonly name: string; readonly prefix: string }): PlannedPod {
  const manifest = added === undefined ? whole : { ...whole, apps: whole.apps.filter(({ name }) => name === added.name) };
  if (added !== undefined && manifest.apps.length === 0) throw new Failure(`pod: apps: has no ${oneLine(added.name)}`);
  if (manifest.apps.length === 0 && !options.mutable) throw new Failure('pod: apps: is empty');
  if (options.interactive && manifest.apps.length > 1) throw new Failure(`--interactive is for one app, this pod has ${manifest.apps.length}`);
  const bounds = podBounds(manifest.isolators);
  if (config.strictIsolators === true && bounds.notes[0] !== undefined) throw new Failure(`pod: ${bounds.notes[0]} (strictIsolators)`);
  const notes = added === undefined ? [...bounds.notes] : [];
  const streams = new Map<string, Streams>();
  const apps = manifest.apps.map((entry): PodApp => {
    const made = podApp(entry, options, config);
    streams.set(entry.name, made.streams);
    return { ...made.app, app: bounded(made.app.app, bounds) };
  });
  const files = (app: PodApp): ProvidedFile[] => filesOf(app, options);
  const place = (volume: Volume, implied?: { readonly app: string; readonly path: string }): string => volumePlace(volume, implied, (text) => notes.push(text));
  const plan = apps.length === 0 ? { apps: [], shares: [], disks: [], notes: [] } : planPod({ apps, volumes: manifest.volumes, place, volumeDecides: true, files, insecure: options.insecure, devices: [TUN], hidden: INACCESSIBLE, prefix: added?.prefix });
  return { plan: { ...plan, notes: [...plan.notes, ...notes] }, apps: apps.map(({ app }) => app), bounds, streams };
}

function podApp(entry: RuntimeApp, options: RunOptions, config: LocalConfig): { app: PodApp; streams: Streams } {
  const { name } = entry;
  const image = readImage(name);
  const app = entry.app ?? image.app;
  if (app === undefined) throw new Failure(`app ${name}: neither the pod’s manifest nor its image says what to run (try --exec=BINARY)`);
  const [unenforced] = isolationOf({ ...app, eventHandlers: [], mountPoints: [] })?.ignored ?? [];
  if (config.strictIsolators === true && unenforced !== undefined) throw new Failure(`app ${name}: ${unenforced} (strictIsolators)`);
  const root = appRoot(name);
  makeStandardDirectories(name, root);
  const streams = streamsOf(entry, options);
  const tty = streams.stdin === 'tty' || (streams.stdin === 'interactive' && process.stdin.isTTY === true);
  return {
    streams,
    app: {
      name,
      app,
      root: { kind: 'directory', path: root },
      readOnlyRoot: entry.readOnlyRootFS,
      mounts: entry.mounts,
      user: userOf(name, app, root, isOfDocker(image)),
      env: [...appEnvironment(name, app), ...(tty ? [`TERM=${process.env['TERM'] ?? 'vt100'}`] : [])],
      args: commandOf(name, image.name, app, root),
      stdin: streams.stdin === 'interactive' || streams.stdin === 'stream',
      stdout: streams.stdout !== 'null',
      stderr: streams.stderr !== 'null',
      tty,
      notify: supportsNotify(entry.annotations, image.annotations),
    },
  };
}

function streamsOf({ name, annotations }: RuntimeApp, { interactive }: RunOptions): Streams {
  const value = (stream: string): string | undefined => annotations.find((each) => each.name === `coreos.com/rkt/stage2/${stream}`)?.value;
  const one = <T extends string>(stream: string, known: readonly T[], otherwise: T): T => {
    const text = value(stream);
    if (text !== undefined && !(known as readonly string[]).includes(text)) throw new Failure(`app ${name}: ${stream}: ${JSON.stringify(text.slice(0, 50))} is none of ${known.join(', ')}`);
    return (text as T | undefined) ?? otherwise;
  };
  const outputs: readonly OutputMode[] = ['log', 'null', 'stream', 'tty', 'interactive'];
  return {
    stdin: one<StdinMode>('stdin', ['null', 'stream', 'tty', 'interactive'], interactive ? 'interactive' : 'null'),
    stdout: one('stdout', outputs, interactive ? 'interactive' : 'log'),
    stderr: one('stderr', outputs, interactive ? 'interactive' : 'log'),
  };
}

const LOCALHOST = '127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost localhost.localdomain ip6-localhost ip6-loopback\n';

/** /etc/hostname, and hosts and resolv.conf as --dns-conf-mode has them. */
function filesOf({ root }: PodApp, { hostname, hosts, resolv }: RunOptions): ProvidedFile[] {
  const files: ProvidedFile[] = [{ target: '/etc/hostname', content: `${hostname}\n`, kept: true }];
  const own = (text: string): string => text.replace(/^(127\.0\.0\.1\s.*)$/m, `$1 ${hostname}`);
  if (hosts === 'host') files.push({ target: '/etc/hosts', content: textOf('/etc/hosts') ?? '', kept: true });
  else if (hosts === 'stage0') files.push({ target: '/etc/hosts', content: own(textOf(join(S1, 'etc/rkt-hosts')) ?? LOCALHOST), kept: true });
  else if (root.kind === 'directory' && inside(root.path, '/etc/hosts') === undefined) files.push({ target: '/etc/hosts', content: own(LOCALHOST), kept: true });
  const servers = resolv === 'host' ? textOf('/etc/resolv.conf') : resolv === 'stage0' ? textOf(join(S1, 'etc/rkt-resolv.conf')) : undefined;
  if (servers !== undefined) files.push({ target: '/etc/resolv.conf', content: servers, kept: true });
  return files;
}
