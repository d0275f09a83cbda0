/** `run`: the pod's process. It holds the lock that stage0 has left open for as long as the pod lives, and ends with its status. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { App } from '../../image/appc/schema/app.ts';
import type { PodManifest } from '../../image/appc/schema/pod-manifest.ts';
import type { Guest, NetworkConfig } from '../../vmm/api/containers.ts';
import { Timeline } from '../../vmm/api/machine.ts';
import { appStatus, GuestMetadata, metadataEnv, namedPorts, podKey, type PodListener, type PodNetwork, PodRun, type PodResult, podSize } from '../../vmm/api/pods.ts';
import { Failure, oneLine, STATUS_FAILED } from '../common/failure.ts';
import { type Network, networksOf } from '../net/config.ts';
import { type Attached, attach, forwarded, interfaceConfig, pluginPath, type PortMapping, resolverOf, writeNetInfo } from '../net/pod-network.ts';
import { Activation, activations } from './activation.ts';
import { Attachments } from './attachments.ts';
import { MutableApps } from './mutable.ts';
import { type RunOptions, runOptions } from './options.ts';
import { type OwnInput, ownInput } from './own-input.ts';
import { Outputs } from './outputs.ts';
import { localConfig, type PlannedPod, planned } from './plan.ts';
import { podDocument } from './metadata.ts';
import { readPod, S1, writeEnvironment, writePid, writeReady, writeStatus } from './pod-files.ts';
import { listen } from './server.ts';

/** rkt's, from 0.8.1 on. */
const MDS_PORT = 18112;

function say(text: string): void {
  process.stderr.write(`stage1: ${oneLine(text)}\n`);
}

/** `entered` is called once the guest runs. */
export async function run(argv: readonly string[], entered: () => void): Promise<number> {
  const options = runOptions(argv);
  // What rkt and its other users read of a pod has the modes that rkt's own stage1s give it, whoever called it.
  process.umask(0o022);
  for (const note of options.notes) say(note);
  const config = localConfig(options.localConfig);
  const read = readPod();
  const networks = networksOf(options.networks, options.localConfig, config.hostCni ?? false);
  const pod = planned(read, options, config);
  const ports = portsOf(read.manifest, pod.apps, networks.length);
  for (const note of [...read.notes, ...pod.plan.notes]) say(note);
  const size = podSize(pod.apps, availableParallelism(), { overheadMib: config.overheadMiB, minMib: config.minMiB, maxMib: config.maxMiB, bounds: pod.bounds });
  for (const note of size.notes) say(note);
  const outputs = new Outputs();
  const attachments = new Attachments();
  const metadata = metadataOf(options);
  const env = metadataEnv(metadata);
  for (const { name, spec } of pod.plan.apps) writeEnvironment(name, [...spec.env, ...env]);
  openOutputs(outputs, attachments, pod);
  const input = ownInput(pod);
  const ready = await serviceManager();
  const run = new PodRun(
    pod.plan,
    {
      hostname: options.hostname,
      mutable: options.mutable,
      metadata,
      ...(networks.length === 0
        ? {}
        : {
          network: async (guest, stopped) => {
            const network = await connect(guest, options, networks, { ports, stopped });
            for (const { name, spec } of pod.plan.apps) if (network.env.length > 0) writeEnvironment(name, [...spec.env, ...network.env]);
            return network;
          },
        }),
    },
    {
      memoryMib: size.memoryMib,
      vcpus: size.vcpus,
      accel: config.accel,
      spareCards: networks.length,
      // Landlock cannot name what is still to come.
      ...(options.mutable ? {} : { confine: { when: 'asked' as const, read: [], remove: ['.'], write: [join(S1, 'rkt'), 'logs'] } }),
    },
    listener(options, outputs, attachments, input, ready),
    new Timeline((point) => {
      if (point === 'first guest entry') entered();
    }),
  );
  const apps = new MutableApps(run, (name, prefix) => {
    const added = planned(readPod(), options, config, { name, prefix });
    for (const note of added.plan.notes) say(note);
    openOutputs(outputs, attachments, added);
    return added.plan;
  }, (name) => outputs.close(name));
  const activation = new Activation();
  await activation.open(activations(read.manifest, pod.apps), run, say);
  return lead(run, options, { apps, attachments, input }).finally(() => activation.close());
}

/** Tells systemd that the pod is ready, where rkt is a service that it asked for that. The name is its own, no app's. */
async function serviceManager(): Promise<() => void> {
  const name = process.env['NOTIFY_SOCKET'];
  if (name === undefined || name === '') return () => {};
  const failed = (error: unknown): void => say(`NOTIFY_SOCKET: that the pod is ready cannot be told: ${(error as Error).message}`);
  try {
    const { connectServiceManager } = await import('../../vmm/api/service.ts');
    const tell = connectServiceManager(name);
    return () => {
      try {
        tell();
      } catch (error) {
        failed(error);
      }
    };
  } catch (error) {
    failed(error);
    return () => {};
  }
}

function openOutputs(outputs: Outputs, attachments: Attachments, pod: PlannedPod): void {
  for (const [name, streams] of pod.streams) {
    outputs.open(name, streams, say);
    attachments.add(name, streams);
  }
}

/** In the guest, unless stage0 has registered the pod with rkt's own. */
function metadataOf({ uuid, mdsToken, mutable }: RunOptions): GuestMetadata | undefined {
  if (mdsToken !== undefined) return undefined;
  // A pod that is bound cannot read its files any more, and needs not: they stay as they are.
  const fixed = mutable ? undefined : podDocument(uuid);
  return new GuestMetadata(() => fixed ?? podDocument(uuid), podKey((text) => say(`metadata service: ${text}`)));
}

/** The pod's networks: CNI's part on the host, then a cable for each card. */
async function connect(guest: Guest, { uuid, localConfig, resolv, mdsToken }: RunOptions, networks: readonly Network[], { ports, stopped }: { ports: readonly PortMapping[]; stopped: AbortSignal }): Promise<PodNetwork> {
  const { cableTo, makeNamespace } = await import('../../vmm/api/namespaces.ts');
  guest.timeline.point('network: plugins begin');
  const attached = await attach({ uuid, networks, ports, localConfig, stopped }, makeNamespace);
  guest.timeline.point('network: plugins ended');
  const interfaces: NetworkConfig['interfaces'][number][] = [];
  for (const [card, each] of attached.entries()) {
    const mac = guest.machine.cardAddress(card);
    const { cable, mtu } = cableTo(join(process.cwd(), 'netns'), each.interfaceName, `tap${card}`, mac);
    interfaces.push(interfaceConfig(each, mac, mtu));
    await guest.plugCard(cable);
  }
  writeNetInfo(attached, pluginPath(localConfig));
  writePid();
  const resolver = resolv === 'default' ? resolverOf(attached) : undefined;
  return { config: { interfaces }, files: resolver === undefined ? [] : [{ target: '/etc/resolv.conf', content: resolver, kept: true }], env: mdsToken === undefined ? [] : [`AC_METADATA_URL=${metadataUrl(attached, mdsToken)}`] };
}

/** rkt's metadata service, which stage0 has registered the pod with: it listens on the host's side of the network that ports lead to. */
function metadataUrl(attached: readonly Attached[], token: string): string {
  const { result } = attached[forwarded(attached.map(({ network }) => network))] ?? {};
  const gateway = result?.addresses.find(({ gateway: each }) => each !== undefined)?.gateway;
  if (gateway === undefined) throw new Failure('--mds-register: the pod’s network has no gateway by which the metadata service could be reached');
  return `http://${gateway.includes(':') ? `[${gateway}]` : gateway}:${MDS_PORT}/${token}`;
}

/** The host's ports that lead into the pod, as CNI's plugins take them. Throws Failure, POD_APP. */
function portsOf({ ports: all }: PodManifest, apps: readonly App[], networks: number): PortMapping[] {
  // Sockets of the host stand for the others.
  const ports = all.filter(({ name }) => !apps.some((app) => app.ports.some((port) => port.name === name && port.socketActivated)));
  if (ports.length > 0 && networks === 0) throw new Failure('--port needs a network: the pod has none');
  const seen: { readonly key: string; readonly ip: string }[] = [];
  return namedPorts(ports, apps).map(({ exposed: { name, hostPort, hostIP }, protocol, port }) => {
    const each = { key: `${protocol} ${hostPort}`, ip: hostIP === undefined || ['0.0.0.0', '::'].includes(hostIP) ? '' : hostIP };
    // Rules for both would be made, and the first be heeded.
    if (seen.some(({ key, ip }) => key === each.key && (ip === each.ip || ip === '' || each.ip === ''))) throw new Failure(`port ${name}: the host’s ${protocol} port ${hostPort} is given twice`);
    seen.push(each);
    return { hostPort, containerPort: port, protocol, hostIP };
  });
}

function listener(options: RunOptions, outputs: Outputs, attachments: Attachments, input: OwnInput | undefined, serviceReady: () => void): PodListener {
  return {
    output: async (app, stream, bytes) => {
      await outputs.put(app, stream, bytes);
      await attachments.output(app, stream, bytes);
    },
    started: (app, command) => {
      attachments.started(app, command);
      input?.started(app, command);
    },
    ended: (app, end) => {
      try {
        writeStatus(app, appStatus(end));
      } catch (error) {
        say(`the status of app ${app} cannot be written: ${(error as NodeJS.ErrnoException).code ?? 'error'}`);
      }
      attachments.ended(app);
      if (end.kind === 'failed') say(end.error.message);
      else if (options.debug) say(`app ${app} ended with ${appStatus(end)}`);
    },
    ready: () => {
      try {
        writeReady();
      } catch (error) {
        say(`that the pod is ready cannot be written: ${(error as NodeJS.ErrnoException).code ?? 'error'}`);
      }
      serviceReady();
    },
    note: (text, about) => {
      if (about !== 'accelerator' || options.debug) say(text);
    },
  };
}

async function lead(run: PodRun, options: RunOptions, { apps, attachments, input }: { apps: MutableApps; attachments: Attachments; input: OwnInput | undefined }): Promise<number> {
  const aborted = new AbortController();
  let asked = 0;
  const stop = (): void => {
    asked += 1;
    // Who asks again does not want to wait.
    if (asked > 1) aborted.abort();
    else run.stop();
  };
  // However often rkt asks; a terminal that closes may say it twice, too.
  const server = await listen(run, { stop: () => run.stop(), attach: (name, wanted, socket) => attachments.attach(name, wanted, socket), app: (kind, name) => (options.mutable ? apps.do(kind, name) : Promise.reject(new Failure('immutable pod'))) });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop);
  process.on('SIGHUP', () => run.stop());
  if (input !== undefined) input.left = () => aborted.abort();
  const ended = run.run({ signal: aborted.signal }).finally(() => {
    if (options.debug) process.stderr.write(run.guest.timeline.text());
  });
  try {
    // Who finds it may enter, and look for net-info.json.
    if (options.networks.length === 0) writePid();
    return statusOf(await ended, aborted.signal.aborted, options);
  } finally {
    input?.close();
    aborted.abort();
    await ended.catch(() => {});
    server.close();
  }
}

function statusOf(result: PodResult, aborted: boolean, { debug }: RunOptions): number {
  if (result.kind === 'ended') return result.status;
  if (aborted) return 128 + 15;
  say(`the machine ended before its pod did: ${result.result.kind}`);
  if (debug || result.console !== '') process.stderr.write(`${result.console.split('\n').slice(-20).map((line) => `guest: ${oneLine(line)}`).join('\n')}\n`);
  return STATUS_FAILED;
}
