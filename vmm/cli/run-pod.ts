/** `vmm run --pod`: a pod manifest over images of the store (docs/pods.md). */
import { availableParallelism } from 'node:os';
import { randomUUID } from 'node:crypto';
import { MANIFEST_MAX, readBounded } from '../api/appc.ts';
import { AgentError, type ContainerNetwork, hostsFile, openRoomyScratch, openScratch, type ProvidedFile, resolvFile, type ScratchDisk } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { needsHardware, ownSymbols, probePorts } from '../api/machine.ts';
import { type AppEnd, appStatus, GuestMetadata, type PodApp, podKey, type PodListener, type PodPlan, planPod, podPorts, PodRun, type PodResult, podSize, type StoredPod, storedPod, VolumePlaces } from '../api/pods.ts';
import { joinedName } from './joined-network.ts';
import { jitOf } from './common-options.ts';
import { confineConfig } from './confine.ts';
import { describeError } from './describe.ts';
import { endedBefore } from './machine-end.ts';
import { longName } from './options.ts';
import { tell } from './output.ts';
import { PodOutput } from './pod-output.ts';
import { containerNetwork, publishedPorts } from './run-network.ts';
import { RUN, type RunOptions } from './run-options.ts';
import { Session } from './session.ts';
import { startTimeline } from './start.ts';
import { STATUS_VMM_ERROR } from './status.ts';

/** Options of `vmm run` that a pod has too; the others say what its manifest says. */
const OF_PODS = new Set([
  'pod', 'strictIsolators', 'hostname', 'scratch', 'network', 'publish', 'ip', 'ip6', 'macAddress', 'dns', 'dnsSearch', 'dnsOption', 'addHost', 'egress', 'allow', 'deny', 'egressPolicy', 'strictSni', 'memory', 'cpus', 'accel', 'cpu', 'jit', 'timeout', 'insecureOptions', 'rm', 'quiet', 'verbose', 'timeline', 'help',
]);

/** Options of containers that are kept. */
const OF_KEPT = new Set(['detach', 'name', 'restart', 'cidfile', 'label', 'labelFile', 'root', 'stopTimeout', 'detachKeys', 'interactive', 'tty', 'attach']);

/** Returns the pod's exit status, or one of docs/errors.md. */
export async function runPod(path: string, options: RunOptions, operands: readonly string[]): Promise<number> {
  refuseOthers(options, operands);
  await needsHardware(options.accel ?? 'auto');
  const session = new Session({ ...options, what: 'the pod', terminal: undefined });
  const timeline = startTimeline((note) => session.detail(note), () => session.entered());
  timeline.point('options read');
  const where = path === '-' ? 'standard input' : path;
  const store = new ImageStore(undefined, hostFs);
  const uuid = randomUUID();
  const pod = await storedPod(path === '-' ? await standardInput() : readBounded(path, MANIFEST_MAX), store, { where, unsigned: options.insecureOptions?.image === true, strict: options.strictIsolators });
  timeline.point('image ready');
  const network = await networkOf(options, pod, session.note);
  const places = new VolumePlaces(session.note, await hostFs());
  try {
    const hostname = options.hostname ?? `pod-${uuid}`;
    const { plan, close } = planned(pod, options, { hostname, network, places });
    const made = ((): { run: PodRun; output: PodOutput; ends: Ends } => {
      try {
        for (const note of [...pod.notes, ...plan.notes]) session.note(note);
        const output = new PodOutput(plan.apps.map(({ name }) => name), session);
        const ends = new Ends();
        return { output, ends, run: makeRun({ plan, pod, options, network, hostname, metadata: new GuestMetadata(() => ({ uuid, ...pod.document }), podKey(session.note)) }, listener(session, output, ends), session, timeline) };
      } finally {
        close(); // the guest has it open
      }
    })();
    signals(session, made.run, made.ends);
    const result = await session.around(() => made.run.run({ signal: session.signal }));
    await made.output.end();
    if (options.timeline) tell(timeline.text());
    return session.status(result.kind === 'machine') ?? statusOf(result, made.ends);
  } finally {
    await places.remove();
  }
}

/** Throws USAGE for what a pod's manifest says, by its name. */
function refuseOthers(options: RunOptions, operands: readonly string[]): void {
  if (operands[0] !== undefined) throw new VmmError('USAGE', `--pod runs what its manifest names, not ${operands[0]}`, { hint: 'leave image and command away' });
  for (const [key, { initial }] of Object.entries(RUN.options)) {
    const given = options[key as keyof RunOptions];
    if (OF_PODS.has(key) || given === initial || (Array.isArray(given) && given.length === 0)) continue;
    throw new VmmError('USAGE', `--${longName(key)} has no meaning with --pod`, { hint: OF_KEPT.has(key) ? 'a pod runs on this terminal, or as a service of the host, and is not kept' : 'say it in the manifest, app by app' });
  }
  if (options.cpus?.quota !== undefined) throw new VmmError('USAGE', '--cpus: the machine of a pod has whole processors', { hint: 'an app’s share is its isolator resource/cpu' });
}

/** All of it, which a manifest is no longer than. */
async function standardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MANIFEST_MAX) throw new VmmError('IMAGE_LIMIT', `standard input is larger than ${MANIFEST_MAX} bytes`, { hint: 'is it a pod manifest?' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** As for a container; the manifest's ports are published where there is a network that can. */
async function networkOf(options: RunOptions, { manifest, apps }: StoredPod, note: (text: string) => void): Promise<ContainerNetwork> {
  const ports = podPorts(manifest.ports, apps.map(({ app }) => app.app));
  if (joinedName(options.network) !== undefined) throw new VmmError('USAGE', '--network container:NAME is for a container: a pod has a machine of its own', { hint: 'leave it away' });
  const publishes = options.network.some((card) => card?.cable === 'passt' || card?.cable === 'user');
  if (!publishes) for (const { name, hostPort } of manifest.ports) note(`port ${name} of the pod is not published as ${hostPort}: that takes --network user or passt`);
  const publish = [...options.publish, ...(publishes ? [ports] : [])];
  await probePorts(publishedPorts({ ...options, publish }));
  return containerNetwork({ ...options, publish: publish.filter((each) => each.length > 0) }, note);
}

interface Around {
  readonly hostname: string;
  readonly network: ContainerNetwork;
  readonly places: VolumePlaces;
}

/** Apps whose event handlers have them a disk of their own for their changes: a machine has no more places. Others have their roots unpacked. */
const MOST_OWN = 4;

/** The plan, with a scratch disk for all apps. `close` once the guest has it open. */
function planned({ manifest, apps }: StoredPod, options: RunOptions, { hostname, network, places }: Around): { plan: PodPlan; close: () => void } {
  const scratches: ScratchDisk[] = [];
  const scratch = (): string | undefined => {
    if (options.scratch === 'tmpfs') return undefined;
    const disk = options.scratch === undefined ? openRoomyScratch() : openScratch(options.scratch);
    if (disk !== undefined) scratches.push(disk);
    return disk?.path;
  };
  const close = (): void => {
    for (const disk of scratches.splice(0)) disk.close();
  };
  const own = new Map(apps.map(({ app, ownHosts }) => [app.name, ownHosts]));
  const files = ({ name }: PodApp): ProvidedFile[] => [
    { target: '/etc/hostname', content: `${hostname}\n`, kept: true },
    ...(own.get(name) === true && options.addHost.length === 0 ? [] : [{ target: '/etc/hosts', content: hostsFile(hostname, network), kept: true }]),
    ...(network.resolver === undefined ? [] : [{ target: '/etc/resolv.conf', content: resolvFile(network.resolver), kept: true }]),
  ];
  try {
    let shared: string | undefined;
    let owning = 0;
    const whole = apps.map(({ app }): PodApp => {
      if (app.root.kind !== 'disk') return app;
      if (app.app.eventHandlers.length > 0 && !app.readOnlyRoot) {
        owning += 1;
        const own = owning > MOST_OWN ? undefined : scratch();
        return own === undefined ? { ...app, root: { kind: 'directory', path: places.unpack(app.name, app.root.path) } } : { ...app, root: { ...app.root, scratch: own, own: true } };
      }
      if (!app.readOnlyRoot) shared ??= scratch();
      return { ...app, root: { ...app.root, scratch: app.readOnlyRoot ? undefined : shared } };
    });
    return { close, plan: planPod({ apps: whole, volumes: manifest.volumes, place: (volume) => places.place(volume), files, insecure: options.insecureOptions }) };
  } catch (error) {
    close();
    throw error;
  }
}

interface Making {
  readonly plan: PodPlan;
  readonly pod: StoredPod;
  readonly options: RunOptions;
  readonly network: ContainerNetwork;
  readonly hostname: string;
  readonly metadata: GuestMetadata;
}

function makeRun({ plan, pod, options, network, hostname, metadata }: Making, listen: PodListener, session: Session, timeline: ConstructorParameters<typeof PodRun>[4]): PodRun {
  const size = podSize(pod.apps.map(({ app }) => app.app), availableParallelism(), { bounds: pod.bounds });
  for (const note of size.notes) session.note(note);
  const interfaces = network.cards.map(({ card, interface: rest }) => ({ ...rest, mac: card.mac, mtu: card.mtu }));
  return new PodRun(
    plan,
    { hostname, metadata, ...(interfaces.length === 0 ? {} : { network: () => Promise.resolve({ config: { interfaces }, files: [], env: [] }) }) },
    {
      memoryMib: options.memory ?? size.memoryMib,
      vcpus: options.cpus?.vcpus ?? size.vcpus,
      accel: options.accel,
      cpuModel: options.cpu,
      jit: jitOf(options.jit),
      cards: network.cards.map(({ card }) => card),
      symbols: ownSymbols,
      confine: confineConfig('asked', options),
    },
    listen,
    timeline,
  );
}

/** What of the apps' ends the pod's status is made from. */
class Ends {
  ready = false;
  readonly list: { readonly app: string; readonly end: AppEnd }[] = [];
}

function listener(session: Session, output: PodOutput, ends: Ends): PodListener {
  return {
    output: (app, stream, bytes) => output.put(app, stream, bytes),
    ended: (app, end) => {
      ends.list.push({ app, end });
      if (end.kind === 'failed') tell(describeError(end.error));
      else if (end.status.outOfMemory) tell(`vmm: app ${app}: the kernel killed a process for lack of memory\n`);
      session.detail(`app ${app} ended with ${end.kind === 'failed' ? failedStatus(end.error) : end.status.status}`);
    },
    ready: () => {
      ends.ready = true;
    },
    note: session.note,
  };
}

/** The first signal stops the apps in order, unless they have not been started; the next one ends the machine. */
function signals(session: Session, run: PodRun, ends: Ends): void {
  let asked = false;
  session.onSignals(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'], (_name, number) => {
    if (asked || !ends.ready) session.endBySignal(number);
    else run.stop();
    asked = true;
  });
}

function statusOf(result: PodResult, { list }: Ends): number {
  if (result.kind === 'machine') return endedBefore(result, 'pod');
  // PodRun says which app it is; its status here is a shell's.
  const counted = result.status === 0 ? undefined : list.find(({ end }) => appStatus(end) === result.status);
  if (counted === undefined) return result.status;
  return counted.end.kind === 'failed' ? failedStatus(counted.end.error) : counted.end.status.status;
}

function failedStatus(error: VmmError): number {
  return error instanceof AgentError ? error.exitStatus : STATUS_VMM_ERROR;
}
