import { VmmError } from '../api/errors.ts';
import { login, loginOf, logout, logoutAll, registryOf } from '../api/registry.ts';
import { parseArgs } from './args.ts';
import { ask } from './ask.ts';
import { HELP } from './common-options.ts';
import { describeError, oneLine } from './describe.ts';
import { helpText } from './help.ts';
import { type Command, flag, value } from './options.ts';
import { print, tell } from './output.ts';
import { registryEnv, registryForeign, REGISTRY_OPTIONS } from './registry-options.ts';

const LOGIN_OPTIONS = {
  username: value('USER', 'who logs in', undefined, { short: 'u' }),
  getLogin: flag('print who is logged in, and do nothing'),
  ...REGISTRY_OPTIONS,
  passwordStdin: flag('read the password from standard input; it is never an argument'),
  help: HELP,
};
export const LOGIN: Command<typeof LOGIN_OPTIONS> = {
  name: 'login',
  synopsis: '[OPTIONS] [REGISTRY]',
  about: 'Logs in to a registry (default docker.io). The login is kept where Docker keeps it: by its credential helper, else in ~/.docker/config.json.',
  options: LOGIN_OPTIONS,
  foreign: registryForeign,
};
const LOGOUT_OPTIONS = { all: flag('forget every login', { short: 'a' }), authfile: REGISTRY_OPTIONS.authfile, help: HELP };
export const LOGOUT: Command<typeof LOGOUT_OPTIONS> = { name: 'logout', synopsis: '[OPTIONS] [REGISTRY]', about: 'Forgets the login of a registry (default docker.io).', options: LOGOUT_OPTIONS };

const MAX_PASSWORD = 65536;
const ASK_HINT = 'give -u USER and --password-stdin';

/** `vmm login`. */
export async function loginCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, LOGIN);
  if (options.help) {
    print(helpText(LOGIN));
    return 0;
  }
  if (operands.length > 1) throw new VmmError('USAGE', 'login takes one registry', { hint: 'see `vmm login --help`' });
  const registry = registryOf(operands[0]);
  const env = registryEnv(options, !options.getLogin);
  if (options.getLogin) {
    const who = await loginOf(registry, env);
    if (who === undefined) throw new VmmError('REGISTRY_DENIED', `nobody is logged in to ${registry}`, { hint: `\`vmm login ${registry}\`` });
    print(`${oneLine(who)}\n`);
    return 0;
  }
  const user = options.username ?? (options.passwordStdin ? undefined : await ask('User name: ', true, ASK_HINT));
  if (user === undefined || user === '' || user.includes(':')) throw new VmmError('USAGE', 'login needs a user name, without a colon', { hint: 'give it with -u' });
  const password = options.passwordStdin ? await readPassword() : await ask('Password: ', false, ASK_HINT);
  if (password === '') throw new VmmError('USAGE', 'the password is empty', { hint: 'type it, or pipe it in with --password-stdin' });
  const where = await login(registry, user, password, env, options);
  print(`logged in to ${registry} (kept by ${where})\n`);
  return 0;
}

/** `vmm logout`. */
export async function logoutCommand(argv: readonly string[]): Promise<number> {
  const { options, operands } = parseArgs(argv, LOGOUT);
  if (options.help) {
    print(helpText(LOGOUT));
    return 0;
  }
  if (operands.length > 1) throw new VmmError('USAGE', 'logout takes one registry', { hint: 'see `vmm logout --help`' });
  const env = registryEnv({ authfile: options.authfile, tlsVerify: undefined });
  if (options.all) {
    if (operands.length > 0) throw new VmmError('USAGE', 'logout -a takes no registry', { hint: 'see `vmm logout --help`' });
    const { gone, failed } = await logoutAll(env);
    for (const key of gone) print(`logged out of ${oneLine(key)}\n`);
    for (const error of failed) tell(describeError(error));
    return failed.length === 0 ? 0 : 1;
  }
  const registry = registryOf(operands[0]);
  print((await logout(registry, env)) ? `logged out of ${registry}\n` : `there was no login for ${registry}\n`);
  return 0;
}

async function readPassword(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_PASSWORD) throw new VmmError('USAGE', 'the password is too long', { hint: 'is it the right file?' });
  }
  return text.replace(/\r?\n$/, '');
}
