import { writeFileSync } from 'node:fs';
import { VmmError } from '../api/errors.ts';
import { contentTrustName, explainPolicy, inspectTrust, loadKeyFile, PrivateKeys, publicKeyPem, revokeTag } from '../api/trust.ts';
import { parseArgs } from './args.ts';
import { HELP as HELP_FLAG } from './common-options.ts';
import { oneLine } from './describe.ts';
import { type Command, flag, type OptionValues, value } from './options.ts';
import { print, tell } from './output.ts';
import { passphrase } from './passphrase.ts';

const HELP = `Usage: vmm trust COMMAND

Docker Content Trust (all but explain): tags that are signed by a notary server ($DOCKER_CONTENT_TRUST_SERVER, else the registry). Keys lie where Docker
keeps them (~/.docker/trust); their passphrases are DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE and _REPOSITORY_PASSPHRASE, else asked for.

Commands:
  inspect NAME[:TAG]        print what is signed and whose keys may sign, as docker trust inspect does
  sign IMAGE [NAME:TAG]     push a stored image and sign its tag
  explain NAME              say which rule of the policy file applies to a registry's image, or a stored aci:NAME, who signed it, and what is missing
  revoke NAME:TAG [-y]      take a tag's signature away (NAME with -y: those of all tags)
  key ls                    list the keys here
  key generate NAME         make a key, and NAME.pub for who is to let it sign (--dir: elsewhere)
  key load FILE             take a private key over (--name: of whom)
  key rm ID                 remove a key
`;

const OPTIONS = {
  yes: flag('all tags', { short: 'y' }),
  dir: value('DIR', 'where the public key goes (default: here)'),
  name: value('NAME', 'whose key it is (default signer)'),
  quiet: flag('no notes', { short: 'q' }),
  help: HELP_FLAG,
};
type TrustOptions = OptionValues<typeof OPTIONS>;

interface TrustCommand {
  readonly options: readonly (keyof TrustOptions)[];
  readonly takes: readonly [least: number, most: number, what: string];
  run(operands: readonly string[], options: TrustOptions): void | Promise<void>;
}

const COMMANDS: Readonly<Record<string, TrustCommand>> = {
  inspect: { options: ['quiet'], takes: [1, 1, 'one name'], run: inspect },
  explain: { options: [], takes: [1, 1, 'one name'], run: async ([name = '']) => print(`${(await explainPolicy(name, process.env)).map(oneLine).join('\n')}\n`) },
  sign: { options: ['quiet'], takes: [1, 2, 'an image and perhaps a name'], run: signImage },
  revoke: { options: ['quiet', 'yes'], takes: [1, 1, 'one name'], run: revoke },
  'key ls': { options: [], takes: [0, 0, 'no argument'], run: listKeys },
  'key generate': { options: ['dir'], takes: [1, 1, 'one name'], run: generateKey },
  'key load': { options: ['name'], takes: [1, 1, 'one file'], run: loadKey },
  'key rm': { options: [], takes: [1, 1, 'one id'], run: ([id = '']) => keys().remove(id) },
};

/** `vmm trust`. */
export async function trustCommand(argv: readonly string[]): Promise<number> {
  const [first, ...others] = argv;
  if (first === 'help' || first === '--help' || first === '-h') {
    print(HELP);
    return 0;
  }
  const name = first === 'key' ? `key ${others.shift() ?? ''}` : (first ?? '');
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new VmmError('USAGE', first === undefined ? 'trust needs a command' : `unknown trust command ${name.trim()}`, { hint: Object.keys(COMMANDS).join(', ') });
  const { options, operands } = parseArgs(others, commandOf(name, command));
  if (options.help) {
    print(HELP);
    return 0;
  }
  const [least, most, what] = command.takes;
  if (operands.length < least || operands.length > most) throw new VmmError('USAGE', `trust ${name} takes ${what}`, { hint: 'see `vmm trust --help`' });
  await command.run(operands, { ...UNSET, ...options });
  return 0;
}

const UNSET: TrustOptions = { yes: false, dir: undefined, name: undefined, quiet: false, help: false };

function commandOf(name: string, { options }: TrustCommand): Command<Partial<typeof OPTIONS> & Command['options']> {
  return { name: `trust ${name}`, synopsis: '', about: '', options: Object.fromEntries([...options, 'help' as const].map((key) => [key, OPTIONS[key]])) };
}

/** Their tables. */
export function trustCommands(): Command[] {
  return Object.entries(COMMANDS).map(([name, command]) => commandOf(name, command));
}

function keys(): PrivateKeys {
  return new PrivateKeys(process.env, passphrase);
}

function trust({ quiet }: TrustOptions): { env: NodeJS.ProcessEnv; note: (text: string) => void; passphrase: typeof passphrase } {
  return { env: process.env, note: (text) => (quiet ? undefined : tell(`vmm: ${oneLine(text)}\n`)), passphrase };
}

async function inspect([text = '']: readonly string[], options: TrustOptions): Promise<void> {
  const { name, oneTag } = contentTrustName(text);
  print(`${JSON.stringify([await inspectTrust(name, oneTag, trust(options))], null, 4)}\n`);
}

async function signImage([image = '', target]: readonly string[], { quiet }: TrustOptions): Promise<void> {
  const { pushAndSign } = await import('./push.ts');
  await pushAndSign(image, target, { quiet, env: process.env });
}

async function revoke([text = '']: readonly string[], options: TrustOptions): Promise<void> {
  const { name, oneTag } = contentTrustName(text);
  if (!oneTag && !options.yes) throw new VmmError('USAGE', `${text} names no tag`, { hint: 'give one, or -y for all of them' });
  const roles = await revokeTag(name, !oneTag, trust(options));
  print(`revoked in ${roles.join(', ')}\n`);
}

function listKeys(): void {
  for (const { id, role, gun } of keys().list()) print(`${oneLine([id, role, gun].join(' ').trimEnd())}\n`);
}

async function generateKey([name = '']: readonly string[], { dir = '.' }: TrustOptions): Promise<void> {
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(name)) throw new VmmError('USAGE', `${JSON.stringify(name)} cannot name a key`, { hint: 'small letters, digits, - and _' });
  const key = await keys().create(name, '');
  const path = `${dir}/${name}.pub`;
  try {
    writeFileSync(path, publicKeyPem(key, name), { flag: 'wx' });
  } catch (cause) {
    throw new VmmError('OUTPUT_WRITE', `cannot write ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'give --dir' });
  }
  print(`${path}\n`);
}

async function loadKey([path = '']: readonly string[], { name = 'signer' }: TrustOptions): Promise<void> {
  print(`${await keys().add(await loadKeyFile(path, passphrase), name, '')}\n`);
}
