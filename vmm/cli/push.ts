import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { pushImage } from '../api/registry.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { helpText } from './help.ts';
import { type Command, flag, value } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust, TRUST_OPTIONS } from './pull-options.ts';
import { registryEnv, registryForeign, REGISTRY_OPTIONS } from './registry-options.ts';

const OPTIONS = {
  allTags: flag('every tag of NAME that the store has', { short: 'a' }),
  digestfile: value('FILE', 'write the digest of the manifest there'),
  ...TRUST_OPTIONS,
  ...REGISTRY_OPTIONS,
  quiet: flag('no notes, no progress', { short: 'q' }),
  help: HELP,
};
export const PUSH_COMMAND: Command<typeof OPTIONS> = {
  name: 'push',
  synopsis: '[OPTIONS] IMAGE [NAME]',
  about: 'Gives a stored image to the registry of its name, or of NAME. Prints the name in full and the digest of the manifest there. With content trust, the tag is signed, too.',
  options: OPTIONS,
  foreign: registryForeign,
  examples: [
    ['vmm push ghcr.io/owner/image:1', 'what the store has by this name'],
    ['vmm push debian:12 localhost:5000/debian:12', 'under another name'],
    ['vmm push -a localhost:5000/image', 'all its tags'],
  ],
};

/** `vmm push`. */
export async function pushCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, PUSH_COMMAND);
  if (options.help) {
    print(helpText(PUSH_COMMAND));
    return 0;
  }
  const [image, target, ...more] = operands;
  if (image === undefined || more.length > 0) throw new VmmError('USAGE', 'push takes an image and perhaps a name', { hint: 'see `vmm push --help`' });
  const how = { quiet: options.quiet, env: registryEnv(options), tlsVerify: options.tlsVerify };
  const one = contentTrust(options) ? pushAndSign : push;
  if (!options.allTags) {
    const { digest } = await one(image, target, how);
    if (options.digestfile !== undefined) (await import('./image-archive.ts')).writeFile(options.digestfile, [Buffer.from(digest)]);
    return 0;
  }
  if (target !== undefined || options.digestfile !== undefined) throw new VmmError('USAGE', 'push -a takes one name, and no --digestfile', { hint: 'push each tag by itself' });
  for (const name of tagsOf(image)) await one(name, undefined, how);
  return 0;
}

/** The stored names of a repository, each with a tag. Throws USAGE, IMAGE_NOT_FOUND. */
function tagsOf(text: string): string[] {
  const store = new ImageStore(undefined, hostFs);
  if (/@|:[^/]*$/.test(text)) throw new VmmError('USAGE', `push -a takes a name without a tag, and not ${text}`, { hint: 'leave the tag away' });
  // A short name does not mean those of this machine alone.
  const names = store.otherTags(text).filter((name) => !name.includes('@') && (text.startsWith('localhost/') || !name.startsWith('localhost/')));
  if (names.length === 0) throw store.notFound(text, 'see `vmm image ls`');
  return names;
}

interface Pushed {
  readonly name: string;
  readonly digest: string;
  readonly size: number;
}

interface How {
  readonly quiet: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly tlsVerify?: boolean | undefined;
}

async function push(image: string, target: string | undefined, { quiet, env, tlsVerify }: How): Promise<Pushed> {
  const line = new ProgressLine();
  const note = (text: string): void => {
    line.clear();
    if (!quiet) tell(`vmm: ${oneLine(text)}\n`);
  };
  const pushed = await pushImage(new ImageStore(undefined, hostFs), image, target?.replace(/^docker:\/\//, ''), { env, tlsVerify, note, ...(quiet ? {} : { progress: line.update }) }).finally(() => line.clear());
  print(`${pushed.name} ${pushed.digest}\n`);
  return pushed;
}

/** Also `vmm trust sign`. */
export async function pushAndSign(image: string, target: string | undefined, how: How): Promise<Pushed> {
  const [{ contentTrustName, signTag }, { passphrase }] = await Promise.all([import('../api/trust.ts'), import('./passphrase.ts')]);
  const pushed = await push(image, target, how);
  const { name: full, digest, size } = pushed;
  const note = (text: string): void => (how.quiet ? undefined : tell(`vmm: ${oneLine(text)}\n`));
  const roles = await signTag(contentTrustName(full).name, { digest, length: size }, { env: how.env, note, passphrase });
  print(`signed ${full} in ${roles.join(', ')}\n`);
  return pushed;
}
