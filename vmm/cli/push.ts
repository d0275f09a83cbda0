import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { pushImage } from '../api/registry.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { helpText } from './help.ts';
import { type Command, flag } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust, TRUST_OPTIONS } from './pull-options.ts';

const OPTIONS = { ...TRUST_OPTIONS, quiet: flag('no notes, no progress', { short: 'q' }), help: HELP };
export const PUSH_COMMAND: Command<typeof OPTIONS> = {
  name: 'push',
  synopsis: '[OPTIONS] IMAGE [NAME]',
  about: 'Gives a stored image to the registry of its name, or of NAME. Prints the name in full and the digest of the manifest there. With content trust, the tag is signed, too.',
  options: OPTIONS,
  examples: [
    ['vmm push ghcr.io/owner/image:1', 'what the store has by this name'],
    ['vmm push debian:12 localhost:5000/debian:12', 'under another name'],
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
  await (contentTrust(options) ? pushAndSign : push)(image, target, options.quiet);
  return 0;
}

interface Pushed {
  readonly name: string;
  readonly digest: string;
  readonly size: number;
}

async function push(image: string, target: string | undefined, quiet: boolean): Promise<Pushed> {
  const line = new ProgressLine();
  const note = (text: string): void => {
    line.clear();
    if (!quiet) tell(`vmm: ${oneLine(text)}\n`);
  };
  const pushed = await pushImage(new ImageStore(undefined, hostFs), image, target?.replace(/^docker:\/\//, ''), { note, ...(quiet ? {} : { progress: line.update }) }).finally(() => line.clear());
  print(`${pushed.name} ${pushed.digest}\n`);
  return pushed;
}

/** Also `vmm trust sign`. */
export async function pushAndSign(image: string, target: string | undefined, quiet: boolean): Promise<void> {
  const [{ contentTrustName, signTag }, { passphrase }] = await Promise.all([import('../api/trust.ts'), import('./passphrase.ts')]);
  const { name: full, digest, size } = await push(image, target, quiet);
  const note = (text: string): void => (quiet ? undefined : tell(`vmm: ${oneLine(text)}\n`));
  const roles = await signTag(contentTrustName(full).name, { digest, length: size }, { env: process.env, note, passphrase });
  print(`signed ${full} in ${roles.join(', ')}\n`);
}
