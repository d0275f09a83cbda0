/** Options of the commands that talk to registries, as podman has them. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { VmmError } from '../api/errors.ts';
import { flag, type OptionValues, value } from './options.ts';

export const REGISTRY_OPTIONS = {
  authfile: value('FILE', 'the file of logins, instead of those of Docker and podman (also by REGISTRY_AUTH_FILE)'),
  tlsVerify: { ...flag('whether certificates have to be good, and http is refused, whatever registries.conf says'), initial: undefined as boolean | undefined },
};

/** What podman and Docker have there and we do otherwise. */
const INSTEAD: Readonly<Record<string, string>> = {
  creds: 'a password is no argument, which others could read: `vmm login`, or --authfile FILE',
  password: 'a password is no argument, which others could read: --password-stdin',
  p: 'a password is no argument, which others could read: --password-stdin',
  'cert-dir': 'CAs lie in ~/.config/containers/certs.d/HOST/*.crt',
  'signature-policy': 'VMM_POLICY names a policy file',
  'sign-by': '`vmm trust sign` and --content-trust sign tags',
  'sign-by-sigstore': 'cosign signs what is pushed',
  'sign-passphrase-file': '`vmm trust sign` and --content-trust sign tags',
  arch: '--platform linux/amd64 is what runs here',
  os: '--platform linux/amd64 is what runs here',
  variant: '--platform linux/amd64 is what runs here',
  'override-arch': '--platform linux/amd64 is what runs here',
  'override-os': '--platform linux/amd64 is what runs here',
  'encryption-key': 'encrypted layers are not read or made here',
  'decryption-key': 'encrypted layers are not read or made here',
};

export function registryForeign(name: string): { message: string; hint: string } | undefined {
  return Object.hasOwn(INSTEAD, name) ? { message: `there is no option ${name.length === 1 ? '-' : '--'}${name}`, hint: INSTEAD[name] as string } : undefined;
}

/** The environment as these options have it. Throws USAGE for a file of logins that is not there, unless it is to be made. */
export function registryEnv({ authfile }: OptionValues<typeof REGISTRY_OPTIONS>, made = false): NodeJS.ProcessEnv {
  if (authfile === undefined) return process.env;
  const path = resolve(authfile);
  if (!made && !existsSync(path)) throw new VmmError('USAGE', `--authfile: ${authfile} does not exist`, { hint: '`vmm login --authfile FILE` makes one' });
  return { ...process.env, REGISTRY_AUTH_FILE: path };
}
