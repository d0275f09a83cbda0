import { VmmError } from '../api/errors.ts';
import { print } from './output.ts';
import type { Subcommand } from './subcommand.ts';

const HELP = `Usage: vmm aci COMMAND

Commands:
  build DIR FILE              make an ACI of a directory with manifest and rootfs/
  validate FILE…              say whether ACIs, layouts and manifests are valid
  cat-manifest FILE           print an ACI's manifest
  patch FILE [OUT]            change an ACI's manifest
  extract FILE DIR            unpack an ACI
  render IMAGE DIR            write the root file system that a run would have
  sign --key FILE ACI         sign an ACI
  verify ACI                  verify an ACI's signature
  trust --prefix NAME [KEY…]  trust keys to sign images of a name
  discover NAME               say where an image and its keys are
  fetch IMAGE…                bring images into the store
  publish --key FILE DIR ACI… put ACIs into a web server's root

App container images (appc): \`vmm aci COMMAND --help\` tells a command's options.
`;

/** Loaded one by one: none is needed for another. */
const COMMANDS: Readonly<Record<string, () => Promise<Subcommand>>> = {
  build: async () => (await import('./aci-build.ts')).BUILD,
  validate: async () => (await import('./aci-build.ts')).VALIDATE,
  'cat-manifest': async () => (await import('./aci-build.ts')).CAT_MANIFEST,
  patch: async () => (await import('./aci-patch.ts')).PATCH,
  extract: async () => (await import('./aci-extract.ts')).EXTRACT,
  render: async () => (await import('./aci-extract.ts')).RENDER,
  sign: async () => (await import('./aci-sign.ts')).SIGN,
  verify: async () => (await import('./aci-sign.ts')).VERIFY,
  trust: async () => (await import('./aci-fetch.ts')).TRUST,
  discover: async () => (await import('./aci-fetch.ts')).DISCOVER,
  fetch: async () => (await import('./aci-fetch.ts')).FETCH,
  publish: async () => (await import('./aci-sign.ts')).PUBLISH,
};
/** actool's name of it. */
const ALIASES: Readonly<Record<string, string>> = { 'patch-manifest': 'patch' };

/** `vmm aci`. */
export async function aciCommand(argv: readonly string[]): Promise<number> {
  const [given, ...rest] = argv;
  if (given === 'help' || given === '--help' || given === '-h') {
    print(HELP);
    return 0;
  }
  const name = given !== undefined && Object.hasOwn(ALIASES, given) ? (ALIASES[given] as string) : given;
  const load = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw new VmmError('USAGE', given === undefined ? 'aci needs a command' : `unknown aci command ${given}`, { hint: Object.keys(COMMANDS).join(', ') });
  return (await load()).start(rest);
}

/** Their tables. */
export async function aciCommands(): Promise<Subcommand['command'][]> {
  return Promise.all(Object.values(COMMANDS).map(async (load) => (await load()).command));
}
