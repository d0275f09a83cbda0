import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { pullImage } from '../api/registry.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { helpText } from './help.ts';
import { type Command, flag } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust, PLATFORM, TRUST_OPTIONS } from './pull-options.ts';

const OPTIONS = { platform: PLATFORM, ...TRUST_OPTIONS, quiet: flag('no notes, no progress', { short: 'q' }), help: HELP };
export const PULL_COMMAND: Command<typeof OPTIONS> = {
  name: 'pull',
  synopsis: '[OPTIONS] NAME',
  about: 'Fetches an image from its registry into the store. Prints its id, its name in full, and the digest that the name stands for.',
  options: OPTIONS,
  examples: [
    ['vmm pull debian:12', 'docker.io/library/debian:12, as Docker has it'],
    ['vmm pull ghcr.io/owner/image@sha256:…', 'by digest'],
  ],
};

/** `vmm pull`. */
export async function pullCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, PULL_COMMAND);
  if (options.help) {
    print(helpText(PULL_COMMAND));
    return 0;
  }
  const [name, ...more] = operands;
  if (name === undefined || more.length > 0) throw new VmmError('USAGE', 'pull takes one name', { hint: 'see `vmm pull --help`' });
  const line = new ProgressLine();
  const note = (text: string): void => {
    line.clear();
    if (!options.quiet) tell(`vmm: ${oneLine(text)}\n`);
  };
  const pull = { store: new ImageStore(undefined, hostFs), host: hostFs, note, contentTrust: contentTrust(options), ...(options.quiet ? {} : { progress: line.update }) };
  const { record, name: full, digest } = await pullImage(name.replace(/^docker:\/\//, ''), pull).finally(() => line.clear());
  print(`${record.id} ${full} ${digest}\n`);
  return 0;
}
