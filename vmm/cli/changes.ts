/** `vmm diff`, `export` and `commit`: what a container has changed, read from its disk. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { VmmError } from '../api/errors.ts';
import { hostFs, type ImageProcessConfig, ImageStore, isImageName } from '../api/images.ts';
import type { KeptFiles } from '../api/kept.ts';
import { type Container, type ContainerRecord, runs, StateFolder, talkToOwner } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { parseChanges } from './commit-change.ts';
import { HELP } from './common-options.ts';
import { ROOT } from './state-option.ts';
import { oneLine } from './describe.ts';
import { writeFile } from './image-archive.ts';
import { flag, list, value } from './options.ts';
import { print } from './output.ts';
import { RUN } from './run-options.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const PATIENCE_MS = 20_000;
const ONE = [1, 1, 'one container'] as const;
const EXPORT = { root: ROOT, output: value('FILE', 'write the archive there (default: on standard output)', undefined, { short: 'o' }), help: HELP };
const COMMIT = {
  root: ROOT,
  author: value('TEXT', 'who made the image', undefined, { short: 'a' }),
  change: list('INSTRUCTION', 'a line of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR', undefined, { short: 'c' }),
  message: value('TEXT', 'what was changed', undefined, { short: 'm' }),
  pause: { ...flag('have its processes stand meanwhile, as they do anyway (default true)', { short: 'p' }), initial: true },
  help: HELP,
};

export const CHANGES: readonly Subcommand[] = [
  subcommand({ name: 'diff', synopsis: 'CONTAINER', about: 'Lists what a container has added (A), changed (C) and deleted (D).', options: { root: ROOT, help: HELP } }, ONE, ([text = ''], { root }) =>
    withFiles(root, text, ({ changes }) => {
      for (const { kind, path } of changes) print(`${kind} /${oneLine(Buffer.from(path, 'latin1').toString())}\n`);
    })),
  subcommand({ name: 'export', synopsis: '[OPTIONS] CONTAINER', about: 'Writes a container’s file system as a tar archive.', options: EXPORT }, ONE, ([text = ''], { root, output }) => {
    if (output === undefined && process.stdout.isTTY) throw new VmmError('USAGE', 'export writes an archive to standard output, which is a terminal', { hint: 'give -o FILE' });
    return withFiles(root, text, async ({ merged }) => {
      const { tarFromTree } = await import('../api/kept.ts');
      const chunks = tarFromTree(merged, { root: false });
      if (output === undefined) for (const chunk of chunks) print(chunk);
      else writeFile(output, chunks);
    });
  }),
  subcommand({ name: 'commit', synopsis: '[OPTIONS] CONTAINER [NAME[:TAG]]', about: 'Makes an image of a container and what it has changed.', options: COMMIT }, [1, 2, 'a container, and a name for the image'], ([text = '', name], { root, author = '', change, message = '' }) => {
    if (name !== undefined && !isImageName(name)) throw new VmmError('USAGE', `commit: ${name} cannot be an image’s name`, { hint: 'for example mine:1.0' });
    return withFiles(root, text, async (files, { record }) => {
      const { config, also } = parseChanges(configOf(record), record.labels, change);
      const { commitImage } = await import('../api/kept.ts');
      const image = await commitImage(new ImageStore(undefined, hostFs), { files, base: record.imageId, config, also, name, author, comment: message, source: `container ${record.name}` });
      print(`${image.id}\n`);
    });
  }),
];

/** The container is held meanwhile: it is not started or removed, and of one that runs nothing is written. */
async function withFiles(root: string | undefined, text: string, use: (files: KeptFiles, one: Container) => void | Promise<void>): Promise<number> {
  const state = new StateFolder(root);
  const one = await state.find(text);
  const { record } = one;
  const whole = async (): Promise<void> => {
    const own = join(state.folder(record.id), 'rootfs');
    const { openKept } = await import('../api/kept.ts');
    using files = openKept(existsSync(own) ? own : record.rootfs, record.disk ? join(state.folder(record.id), 'disk') : undefined);
    await use(files, one);
  };
  if (runs(one)) {
    if (!record.disk) throw new VmmError('CONTAINER_STATE', `container ${text} runs, and keeps what it changes in its memory`, { hint: 'it was made with --scratch tmpfs' });
    await standing(state.socket(record.id), text, whole);
    return 0;
  }
  using held = await state.hold(record.id, hostFs, PATIENCE_MS);
  if (held === undefined) throw new VmmError('CONTAINER_STATE', `container ${text} is being started, or used by another command`, { hint: 'try again' });
  await whole();
  return 0;
}

/** Has the processes of a container stand while its disk is read. */
async function standing(socket: string, text: string, read: () => Promise<void>): Promise<void> {
  const talk = await talkToOwner(socket, { ask: 'hold' });
  if (talk === undefined) throw new VmmError('CONTAINER_STATE', `container ${text} has just ended`, { hint: 'try again' });
  const { channel } = talk;
  let lost: string | undefined;
  channel.onFrame(({ payload }) => {
    lost = payload.toString();
  });
  try {
    await read();
    // Frames that came meanwhile are read now.
    await setImmediate();
    if (lost !== undefined) throw new VmmError('CONTAINER_LOST', `container ${text}: ${lost}`, { hint: 'try again' });
  } finally {
    channel.destroy();
  }
}

/** How the container runs, as an image says it. */
function configOf({ argv, config, env }: ContainerRecord): ImageProcessConfig {
  const { options, operands } = parseArgs(argv, RUN);
  const command = operands.slice(1);
  const given = new Set([...config.env, ...options.env].map((line) => line.split('=', 1)[0]));
  return {
    entrypoint: options.entrypoint ?? config.entrypoint,
    cmd: command.length > 0 || options.entrypoint !== undefined ? command : config.cmd,
    // What is told to every run is none of the image's.
    env: env.filter((line) => !/^(HOSTNAME|TERM)=/.test(line) || given.has(line.split('=', 1)[0])),
    workingDir: options.workdir ?? config.workingDir,
    user: options.user ?? config.user,
    stopSignal: options.stopSignal === undefined ? config.stopSignal : String(options.stopSignal),
    volumes: config.volumes,
  };
}
