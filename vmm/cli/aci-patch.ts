import { tmpdir } from 'node:os';
import { Context, MANIFEST_MAX, parseImageManifest, type Patch, patchManifest, readBounded, replaceManifest } from '../api/appc.ts';
import { VmmError } from '../api/errors.ts';
import { WRITE_OPTIONS } from './aci-build.ts';
import { HELP } from './common-options.ts';
import { flag, value } from './options.ts';
import { print } from './output.ts';
import { subcommand } from './subcommand.ts';

const OPTIONS = {
  manifest: value('FILE', 'take this manifest instead'),
  name: value('NAME', 'the image’s name'),
  exec: value('CMD', 'command and arguments, with blanks between'),
  user: value('USER', 'user by name, number, or path of a file'),
  group: value('GROUP', 'group likewise'),
  supplementaryGroups: value('GID,…', 'further groups by number', numbers),
  capability: value('CAP,…', 'retain these capabilities and no other', words),
  revokeCapability: value('CAP,…', 'remove these capabilities', words),
  mounts: value('MOUNT:…', 'add mount points: NAME,path=/PATH[,readOnly=true]'),
  ports: value('PORT:…', 'add ports: NAME,protocol=tcp,port=80[,count=N][,socketActivated=true]'),
  isolators: value('FILE', 'take these isolators: a JSON list in a file'),
  seccompMode: value('retain|remove[,errno=E]', 'what --seccomp-set is', seccompMode),
  seccompSet: value('CALL,…', 'system calls', words),
  replace: flag('write to the file itself'),
  ...WRITE_OPTIONS,
  help: HELP,
};

export const PATCH = subcommand(
  {
    name: 'aci patch',
    synopsis: '[OPTIONS] FILE [OUT]',
    about: 'Writes an ACI with another manifest, as `actool patch-manifest` does; its root file system stays what it is. Prints the new image id.',
    options: OPTIONS,
    examples: [['vmm aci patch --exec "/bin/app -v" --user app in.aci out.aci', '']],
  },
  [1, 2, 'an ACI and where to write it'],
  async ([input = '', output], options) => {
    if ((output === undefined) !== options.replace) throw new VmmError('USAGE', options.replace ? 'aci patch --replace writes to the file itself, no other' : 'aci patch needs a file to write, or --replace', { hint: 'see `vmm aci patch --help`' });
    const patch: Patch = {
      name: options.name, exec: options.exec, user: options.user, group: options.group, supplementaryGroups: options.supplementaryGroups,
      capability: options.capability, revokeCapability: options.revokeCapability, mounts: options.mounts, ports: options.ports,
      isolators: options.isolators === undefined ? undefined : readList(options.isolators), seccompMode: options.seccompMode, seccompSet: options.seccompSet,
    };
    const given = options.manifest === undefined ? undefined : readBounded(options.manifest, MANIFEST_MAX);
    if (given !== undefined) parseImageManifest(given, new Context(options.manifest ?? ''));
    const changed = Object.values(patch).some((field) => field !== undefined);
    const manifest = (before: Uint8Array): string => (changed ? patchManifest(given ?? before, patch, input) : Buffer.from(given ?? before).toString('utf8'));
    const id = await replaceManifest(input, output ?? input, tmpdir(), manifest, { overwrite: options.overwrite || options.replace, compress: !options.noCompression });
    print(`${id}\n`);
    return 0;
  },
);

function words(text: string): readonly string[] {
  return text.split(',').filter((word) => word !== '');
}

function numbers(text: string, option: string): readonly number[] {
  return words(text).map((word) => {
    if (!/^\d{1,10}$/.test(word)) throw new VmmError('USAGE', `${option}: ${word} is no number of a group`, { hint: 'for example 10,20' });
    return Number(word);
  });
}

function seccompMode(text: string, option: string): { retain: boolean; errno: string | undefined } {
  const match = /^(retain|remove)(?:,errno=(E[A-Z0-9]+))?$/.exec(text);
  if (match === null) throw new VmmError('USAGE', `${option}: ${text} is not known`, { hint: 'write retain or remove, perhaps with ,errno=EPERM' });
  return { retain: match[1] === 'retain', errno: match[2] };
}

function readList(file: string): readonly unknown[] {
  let list: unknown;
  try {
    list = JSON.parse(readBounded(file, MANIFEST_MAX).toString('utf8'));
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
  }
  if (!Array.isArray(list)) throw new VmmError('USAGE', `--isolators: ${file} is no list in JSON`, { hint: 'for example [{"name":"resource/memory","value":{"limit":"1G"}}]' });
  return list;
}
