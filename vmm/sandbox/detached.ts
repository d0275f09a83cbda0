/** Sandboxes in a process of their own: containers that are kept, made as `vmm run -d` makes them, and found by their names. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { randomId } from '../container/options.ts';
import { runs } from '../owner/record.ts';
import { StateFolder } from '../owner/state.ts';
import { environmentOf, type SandboxOptions, type SandboxVolume } from './options.ts';
import { RemoteBox } from './remote-box.ts';
import { type KeptSecrets, SECRETS_FOLDER } from './secrets.ts';

const MOST_TOLD = 16384;

/** `start`: one that does not run is started. Throws CONTAINER_NOT_FOUND, CONTAINER_AMBIGUOUS, CONTAINER_STATE, STATE_FOLDER, and what its start says. */
export async function connectRemote(name: string, root: string | undefined, start = false): Promise<{ readonly box: RemoteBox; readonly name: string }> {
  const state = new StateFolder(root);
  const one = await state.find(name);
  if (!runs(one)) {
    if (!start) throw new VmmError('CONTAINER_STATE', `sandbox ${name} does not run`, { hint: 'start: true starts it, or make another' });
    await runDoor(['start', ...rootWords(root), one.record.id]);
  }
  return { box: new RemoteBox(state.socket(one.record.id), `sandbox ${name}`, 'SANDBOX_ENDED'), name: one.record.name };
}

/** Throws as `vmm run -d` says, and the reason of an aborted `signal`; then nothing of it is left. */
export async function createDetached(options: SandboxOptions, secrets: KeptSecrets): Promise<{ readonly box: RemoteBox; readonly name: string }> {
  const { store, signal, root } = options;
  if (store !== undefined) throw new VmmError('USAGE', 'Sandbox.create: store is for a sandbox of this process', { hint: 'leave detached away' });
  const name = options.name ?? `sandbox-${randomId()}`;
  try {
    await runDoor(wordsOf({ ...options, name }, secrets));
    signal?.throwIfAborted();
  } catch (error) {
    if (signal?.aborted === true) {
      await connectRemote(name, root).then(({ box }) => box.stop(0)).catch(() => {});
      throw signal.reason;
    }
    throw error;
  }
  return connectRemote(name, root);
}

/** With all that it has kept. */
export async function removeRemote(name: string, root: string | undefined): Promise<void> {
  await runDoor(['rm', '-f', ...rootWords(root), name]);
}

function rootWords(root: string | undefined): string[] {
  return root === undefined ? [] : ['--root', resolve(root)];
}

/** The words of `vmm run`. Of secrets there is only their place. */
function wordsOf(options: SandboxOptions & { readonly name: string }, secrets: KeptSecrets): string[] {
  const { image, pull, memory, cpus, user, workdir, hostname, network, volumes, readOnly, scratch, accel, root, name, persist, timeout } = options;
  const given = (option: string, value: string | number | undefined): string[] => (value === undefined ? [] : [option, `${value}`]);
  return [
    'run', '-d', ...(persist === true ? [] : ['--rm']), '--idle', '-q', '--name', name,
    ...given('--root', root === undefined ? undefined : resolve(root)),
    ...given('--timeout', timeout === undefined ? undefined : `${timeout}ms`),
    ...given('--pull', pull),
    ...given('--memory', memory === undefined ? undefined : `${memory}m`),
    ...given('--cpus', cpus),
    ...given('--user', user),
    ...given('--workdir', workdir),
    ...given('--hostname', hostname),
    ...given('--accel', accel),
    ...given('--scratch', typeof scratch === 'number' ? `${scratch}b` : scratch),
    ...(readOnly === true ? ['--read-only'] : []),
    ...environmentOf(options.env).flatMap((entry) => ['--env', entry]),
    ...networkWords(network),
    ...Object.entries(volumes ?? {}).flatMap(([target, volume]) => ['--mount', mountText(target, volume)]),
    ...(secrets.files.length > 0 ? ['--mount', mountText(SECRETS_FOLDER, { tmpfs: {} })] : []),
    '--', typeof image === 'string' ? image : image.record.id,
  ];
}

function networkWords(network: SandboxOptions['network']): string[] {
  if (network === undefined || network === 'none') return ['--network', 'none'];
  if (network === 'user') return ['--network', 'user'];
  const { egress = 'deny', allow = [], deny = [], strictSni = false } = network;
  return ['--network', 'user', '--egress', egress, ...allow.flatMap((text) => ['--allow', text]), ...deny.flatMap((text) => ['--deny', text]), ...(strictSni ? ['--strict-sni'] : [])];
}

/** A record of RFC 4180. */
function mountText(target: string, volume: SandboxVolume): string {
  const fields = [`target=${target}`];
  if ('tmpfs' in volume) fields.push('type=tmpfs', 'tmpfs-mode=1777', ...(volume.tmpfs.size === undefined ? [] : [`tmpfs-size=${volume.tmpfs.size}b`]));
  else fields.push(...('bind' in volume ? ['type=bind', `source=${resolve(volume.bind)}`] : ['type=volume', `source=${volume.named}`]), ...(volume.readOnly === true ? ['readonly'] : []));
  return fields.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',');
}

/** `vmm` of this package, until it has said how the start went. Throws what it says. */
async function runDoor(words: readonly string[]): Promise<void> {
  const door = fileURLToPath(new URL('../bin/vmm.js', import.meta.url));
  const child = spawn(process.execPath, ['--', door, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (chunk: Buffer) => {
    told = (told + chunk.toString()).slice(-MOST_TOLD);
  });
  const status = await new Promise<number | null>((done, failed) => child.once('error', failed).once('close', done));
  if (status === 0) return;
  const line = told.trimEnd().split('\n').at(-1) ?? '';
  const [, message = line === '' ? `vmm run ended with ${status}` : line, code = 'SANDBOX_START'] = /^(?:vmm: )?(.*) \[([A-Z0-9_]+)\]$/.exec(line) ?? [];
  throw new VmmError(code, message);
}
