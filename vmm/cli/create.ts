/** `vmm create`, and what it has in common with `vmm run -d`: a container that is kept, without its owner. */
import { randomBytes } from 'node:crypto';
import { linkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileLines, makeKeptDisk, processArguments } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, type Progress, type ResolvedImage, resolveImage } from '../api/images.ts';
import { needsHardware, probePorts } from '../api/machine.ts';
import { type Container, type ContainerRecord, NO_RESTART, RECORD_VERSION, StateFolder } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { healthOf } from './health-options.ts';
import { helpText } from './help.ts';
import { logOf } from './log-options.ts';
import type { Command } from './options.ts';
import { mountRequests } from './mounts.ts';
import { print } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust } from './pull-options.ts';
import { joinedName } from './joined-network.ts';
import { optionsOf } from './record-options.ts';
import { publishedOf, publishedPorts } from './run-network.ts';
import { containerOptions, RUN, type RunOptions } from './run-options.ts';

/** Whose file systems cannot make a link: the disk stays where it is. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'EMLINK', 'EOPNOTSUPP', 'ENOSYS']);

export const CREATE: Command<typeof RUN.options> = {
  ...RUN,
  name: 'create',
  synopsis: '[OPTIONS] IMAGE [COMMAND [ARG…]]',
  about: 'Makes a container that `vmm start` starts, with the options of `vmm run`, and prints its id.',
  examples: [['vmm create --name web -p 8080:80 nginx', 'started later, by `vmm start web`']],
  notes: [],
};

export async function createCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv.length === 1 && argv[0] === '-h' ? ['--help'] : argv, CREATE);
  if (options.help) {
    print(helpText(CREATE));
    return 0;
  }
  if (options.detach) throw new VmmError('USAGE', 'create starts nothing: -d is for run', { hint: 'leave it away' });
  const { record } = await makeContainer(argv, options, operands);
  print(`${record.id}\n`);
  return 0;
}

export interface Making {
  /** Called before anything is made, for a client that stays with it. */
  readonly begins?: (() => void) | undefined;
  /** It goes with that client. */
  readonly bound?: boolean | undefined;
  readonly note?: ((text: string) => void) | undefined;
  /** What is shown instead of a line on our terminal. */
  readonly progress?: Progress | undefined;
  readonly id?: string | undefined;
}

/** Throws USAGE, CONTAINER_NAME, SCRATCH_MAKE, IMAGE_* and others; then nothing of it is left. */
export async function makeContainer(argv: readonly string[], options: RunOptions, [reference, ...command]: readonly string[], { begins, bound, note = () => {}, progress: shown, id }: Making = {}): Promise<{ state: StateFolder; record: ContainerRecord }> {
  refuse(options);
  if (reference === undefined) throw new VmmError('USAGE', 'an image is needed', { hint: 'see `vmm run --help`' });
  await probePorts(publishedPorts(options));
  await needsHardware(options.accel ?? 'auto');
  const state = new StateFolder(options.root);
  const progress = new ProgressLine();
  const image = await resolveImage(reference, { host: hostFs, note: (text) => {
    progress.clear();
    note(text);
  }, pull: options.pull ?? 'missing', contentTrust: contentTrust(options), ...(options.insecureOptions === undefined ? {} : { insecure: options.insecureOptions }), ...(options.quiet ? {} : { progress: shown ?? progress.update }) }).finally(() => progress.clear());
  for (const line of image.config.isolation?.ignored ?? []) note(line);
  begins?.();
  state.make();
  const made = recordOf(argv, options, image, reference, command, id);
  const joins = await joinedBy(options, state, made);
  const record = { ...made, ...joins, ...(bound ? { bound, disk: joins !== undefined && made.disk } : {}), mounts: await mountRequests(options, state) };
  if (options.cidfile !== undefined) writeId(options.cidfile, record.id);
  try {
    await state.add(record, hostFs, (folder) => {
      link(image.rootfs, join(folder, 'rootfs'));
      if (record.disk) makeKeptDisk(join(folder, 'disk'), typeof options.scratch === 'number' ? options.scratch : undefined);
    });
  } catch (error) {
    if (options.cidfile !== undefined) unlinkSync(options.cidfile);
    throw error;
  }
  return { state, record };
}

/** In whose machine it will run, by that one's host name; of one that has joined another itself, in that other's. Throws CONTAINER_NOT_FOUND. */
async function joinedBy({ network }: RunOptions, state: StateFolder, { id, env }: ContainerRecord): Promise<Pick<ContainerRecord, 'joins' | 'env'> | undefined> {
  const name = joinedName(network);
  if (name === undefined) return undefined;
  // Docker's words.
  const find = (which: string, hint: string): Promise<Container> => state.find(which).catch((error: unknown) => {
    throw error instanceof VmmError && error.code === 'CONTAINER_NOT_FOUND' ? new VmmError('CONTAINER_NOT_FOUND', `No such container: ${which}`, { hint }) : error;
  });
  const named = await find(name, '`vmm ps -a` lists those that there are');
  const { record } = named.record.joins === undefined ? named : await find(named.record.joins, `${name} was made for its machine: make ${name} again`);
  const hostname = optionsOf(record).options.hostname ?? record.id.slice(0, 12);
  return { joins: record.id, env: env.map((variable) => (variable === `HOSTNAME=${id.slice(0, 12)}` ? `HOSTNAME=${hostname}` : variable)) };
}

function refuse(options: RunOptions): void {
  const here = ['gdb', 'icount', 'record', 'replay', 'timeline'].find((key) => options[key as keyof RunOptions] !== undefined && options[key as keyof RunOptions] !== false);
  if (here !== undefined) throw new VmmError('USAGE', `--${here} is for a run on this terminal, not for a container that is kept`, { hint: 'leave it away' });
  if (options.pod !== undefined) throw new VmmError('USAGE', '--pod is for a run on this terminal', { hint: 'leave it away' });
  if (options.rm && options.restart !== undefined && options.restart.name !== 'no') throw new VmmError('USAGE', 'conflicting options: --restart and --rm', { hint: 'leave one of them away' });
}

function recordOf(argv: readonly string[], options: RunOptions, image: ResolvedImage, reference: string, command: readonly string[], id = randomBytes(32).toString('hex')): ContainerRecord {
  // What it will be asked for is looked at now, and its environment is that of now.
  const { env = [] } = containerOptions(options, image.config, command, () => id.slice(0, 12));
  return {
    version: RECORD_VERSION,
    id,
    name: options.name ?? `vmm-${id.slice(0, 12)}`,
    image: reference,
    imageId: image.record.id,
    rootfs: image.rootfs,
    config: image.config,
    command,
    args: processArguments(image.config, options.entrypoint, command),
    env,
    labels: labelsOf(options),
    created: new Date().toISOString(),
    argv,
    folder: process.cwd(),
    // Of a read-only root only volumes change.
    disk: options.scratch !== 'tmpfs' && !(options.readOnly && image.config.volumes.length === 0),
    restart: options.restart ?? NO_RESTART,
    ports: publishedOf(options, image.config),
    health: healthOf(options, image.config),
    log: logOf(options),
    autoRemove: options.rm,
    stopTimeout: options.stopTimeout,
  };
}

/** As with Docker --label counts before --label-file. */
function labelsOf({ label, labelFile }: RunOptions): Readonly<Record<string, string>> {
  const lines = [...labelFile.flatMap((path) => fileLines(path, '--label-file')), ...label];
  return Object.fromEntries(lines.map((text) => [text.split('=')[0] ?? '', text.slice(text.indexOf('=') < 0 ? text.length : text.indexOf('=') + 1)]));
}

/** The image may be removed from the store: the container keeps its own. */
function link(rootfs: string, path: string): void {
  try {
    linkSync(rootfs, path);
  } catch (cause) {
    const { code = 'error' } = cause as NodeJS.ErrnoException;
    if (!NO_LINK.has(code)) throw new VmmError('STATE_FOLDER', `${path} cannot be made: ${code}`, { cause, hint: '--root names another folder' });
  }
}

function writeId(path: string, id: string): void {
  try {
    writeFileSync(path, id, { flag: 'wx' });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new VmmError('USAGE', code === 'EEXIST' ? `--cidfile: ${path} is there already` : `--cidfile: ${path} cannot be written: ${code}`, { cause, hint: 'remove it, or name another' });
  }
}
