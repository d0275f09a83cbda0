import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore, isImageName, type ResolveOptions } from '../api/images.ts';
import { type ImageRecord, importImage, tagImage } from '../api/store.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { FSCK_COMMAND, LOAD_COMMAND, SAVE_COMMAND } from './image-archive.ts';
import { HISTORY_COMMAND } from './image-history.ts';
import { importing, withStandardInput } from './image-input.ts';
import { LIST_COMMAND } from './image-list.ts';
import { PRUNE_COMMAND, REMOVE_COMMAND } from './image-remove.ts';
import { INSPECT_IMAGE } from './image-view.ts';
import { type Command, flag } from './options.ts';
import { print } from './output.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const COMMANDS: readonly Subcommand[] = [
  LIST_COMMAND,
  subcommand(
    { name: 'image import', synopsis: '[OPTIONS] IMAGE [NAME]', about: 'Imports an image (path, dir:, oci:, oci-archive:, docker-archive:, aci:; - for an archive on standard input) under its own name or NAME.', options: { quiet: flag('no notes, no progress', { short: 'q' }), help: HELP }, foreign: importForeign },
    [1, 2, 'an image and perhaps a name'],
    importOne,
  ),
  INSPECT_IMAGE,
  LOAD_COMMAND,
  SAVE_COMMAND,
  HISTORY_COMMAND,
  FSCK_COMMAND,
  subcommand({ name: 'image tag', synopsis: 'IMAGE NAME…', about: 'Gives an image further names.', options: { help: HELP } }, [2, Number.POSITIVE_INFINITY, 'an image and a name'], async ([image = '', ...names]) => {
    for (const name of names) print(`${await tagImage(new ImageStore(undefined, hostFs), image, name)}\n`);
    return 0;
  }),
  subcommand({ name: 'image exists', synopsis: 'IMAGE', about: 'Ends with 0 when the store has an image, with 1 when it has not.', options: { help: HELP } }, [1, 1, 'one image'], ([name = '']) => (new ImageStore(undefined, hostFs).find(name) === undefined ? 1 : 0)),
  subcommand({ name: 'image tags', synopsis: 'NAME', about: 'Prints the tags that a registry has for a name.', options: { help: HELP } }, [1, 1, 'one name'], async ([text = '']) => {
    const { listTags } = await import('../api/registry.ts');
    for (const tag of await listTags(text, process.env)) print(`${oneLine(tag)}\n`);
    return 0;
  }),
  subcommand({ name: 'image referrers', synopsis: 'NAME', about: 'Prints what a registry has that refers to an image, such as signatures: digest, type, size.', options: { help: HELP } }, [1, 1, 'one name'], async ([text = '']) => {
    const { findReferrers } = await import('../api/registry.ts');
    for (const { digest, artifactType, mediaType, size: bytes } of await findReferrers(text, process.env)) print(`${oneLine(`${digest} ${artifactType ?? mediaType} ${bytes}`)}\n`);
    return 0;
  }),
  REMOVE_COMMAND,
  PRUNE_COMMAND,
];
const NAMES = COMMANDS.map(({ command }) => command.name.slice('image '.length));
/** Docker's and podman's other words for them. */
const ALIASES: Readonly<Record<string, string>> = { list: 'ls', remove: 'rm' };
/** Commands that podman and Docker have here, and what does it instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  build: 'there is no builder: podman build, or `vmm commit --change`',
  diff: '`vmm diff` is for containers',
  mount: '`vmm run -it IMAGE sh` looks into an image',
  unmount: 'no image is mounted on the host',
  scp: '`vmm image save IMAGE | ssh HOST vmm image load`',
  search: 'registries have no common search: `vmm image tags NAME` asks for the tags of a name',
  sign: '`vmm trust sign NAME`',
  tree: '`vmm image history IMAGE`, and .RootFS.Layers of `vmm image inspect`',
  trust: '`vmm trust explain IMAGE`, and the policy file',
  untag: '`vmm image rm NAME` takes a name away',
};

const HELP_TEXT = `Usage: vmm image COMMAND

Images are kept in the store: $VMM_STORE, else vmm/ below $XDG_DATA_HOME or ~/.local/share.

Commands:
${COMMANDS.map(({ command }) => `  ${command.name.slice('image '.length)} ${command.synopsis}\n      ${command.about}`).join('\n')}
  pull, push
      As \`vmm pull\` and \`vmm push\`.

\`vmm image COMMAND --help\` tells a command's options.
`;

/** `vmm image`. */
export async function imageCommand(argv: readonly string[]): Promise<number> {
  const [given, ...rest] = argv;
  if (given === 'help' || given === '--help' || given === '-h') {
    print(HELP_TEXT);
    return 0;
  }
  if (given === 'pull') return (await import('./pull.ts')).pullCommand(rest);
  if (given === 'push') return (await import('./push.ts')).pushCommand(rest);
  const name = given === undefined ? '' : Object.hasOwn(ALIASES, given) ? (ALIASES[given] as string) : given;
  const found = COMMANDS[NAMES.indexOf(name)];
  if (found !== undefined) return found.start(rest);
  const instead = Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
  throw new VmmError('USAGE', given === undefined ? 'image needs a command' : `unknown image command ${given}`, { hint: instead ?? NAMES.join(', ') });
}

/** Their tables. */
export function imageCommands(): Command[] {
  return COMMANDS.map(({ command }) => command);
}

/** Docker's import makes an image's configuration, ours takes the one that is there. */
function importForeign(name: string): { message: string; hint: string } | undefined {
  if (!['change', 'c', 'message', 'm'].includes(name)) return undefined;
  return { message: `image import has no option ${name.length === 1 ? '-' : '--'}${name}`, hint: '`vmm create` and `vmm commit --change` make an image that says how it runs' };
}

async function importOne([image = '', ...given]: readonly string[], { quiet }: { readonly quiet: boolean }): Promise<number> {
  // Before the work, not after it.
  for (const name of given) if (!isImageName(name)) throw new VmmError('USAGE', `${JSON.stringify(name.slice(0, 300))} is not an image name`, { hint: 'for example debian:12' });
  const { line, options } = importing(new ImageStore(undefined, hostFs), quiet);
  const { record, names } = await (image === '-' ? importStandardInput(options, given) : importImage(image, options, given)).finally(() => line.clear());
  print(`${[record.id, ...names].join(' ')}\n`);
  return 0;
}

/** An archive of any kind that an image may have; it has no end that could be looked for first, so it is kept meanwhile. */
function importStandardInput(options: ResolveOptions & { store: ImageStore }, names: readonly string[]): Promise<{ record: ImageRecord; names: readonly string[] }> {
  return withStandardInput('image import -', options, (path) => importImage(path, options, names, '-'));
}
