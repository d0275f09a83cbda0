import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { listTags, pullImage } from '../api/registry.ts';
import { parseArgs } from './args.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { eachOf, OF_IMAGES } from './each-of.ts';
import { helpText } from './help.ts';
import { type Command, flag, type OptionValues } from './options.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust, PLATFORM, TRUST_OPTIONS } from './pull-options.ts';
import { registryEnv, registryForeign, REGISTRY_OPTIONS } from './registry-options.ts';
import { keepHeapSmall } from './small-heap.ts';

const OPTIONS = { allTags: flag('every tag that the registry has for NAME', { short: 'a' }), platform: PLATFORM, ...TRUST_OPTIONS, ...REGISTRY_OPTIONS, quiet: flag('no notes, no progress', { short: 'q' }), help: HELP };
export const PULL_COMMAND: Command<typeof OPTIONS> = {
  name: 'pull',
  synopsis: '[OPTIONS] NAME…',
  about: 'Fetches images from their registries into the store. Prints the id of each, its name in full, and the digest that the name stands for.',
  options: OPTIONS,
  foreign: registryForeign,
  examples: [
    ['vmm pull debian:12', 'docker.io/library/debian:12, as Docker has it'],
    ['vmm pull ghcr.io/owner/image@sha256:…', 'by digest'],
    ['vmm pull -a localhost:5000/image', 'all its tags'],
  ],
};

/** `vmm pull`. */
export async function pullCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, PULL_COMMAND);
  if (options.help) {
    print(helpText(PULL_COMMAND));
    return 0;
  }
  if (operands.length === 0) throw new VmmError('USAGE', 'pull takes one name or more', { hint: 'see `vmm pull --help`' });
  keepHeapSmall();
  const env = registryEnv(options);
  const names = operands.map((text) => text.replace(/^docker:\/\//, ''));
  if (!options.allTags) return eachOf(names, OF_IMAGES, (name) => pull(name, options, env));
  for (const name of names) if (/@|:[^/]*$/.test(name)) throw new VmmError('USAGE', `pull -a takes names without a tag, and not ${name}`, { hint: 'leave the tag away' });
  const tagged: string[] = [];
  for (const name of names) tagged.push(...(await listTags(name, env, options)).map((tag) => `${name}:${tag}`));
  return eachOf(tagged, OF_IMAGES, (name) => pull(name, options, env));
}

async function pull(text: string, options: OptionValues<typeof OPTIONS>, env: NodeJS.ProcessEnv): Promise<void> {
  const line = new ProgressLine();
  const note = (told: string): void => {
    line.clear();
    if (!options.quiet) tell(`vmm: ${oneLine(told)}\n`);
  };
  const how = { store: new ImageStore(undefined, hostFs), host: hostFs, env, tlsVerify: options.tlsVerify, note, contentTrust: contentTrust(options), ...(options.quiet ? {} : { progress: line.update }) };
  const { record, name, digest } = await pullImage(text, how).finally(() => line.clear());
  print(`${record.id} ${name} ${digest}\n`);
}
