import { VmmError } from '../api/errors.ts';
import type { Passphrase } from '../api/trust.ts';
import { ask } from './ask.ts';

/** Docker's variables for the passphrases of content trust's keys. */
const VARIABLES = { root: 'DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE', repository: 'DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE' } as const;
/** As notary has it. */
const LEAST = 8;

/** A passphrase of the environment, else of the terminal; never an argument. */
export const passphrase: Passphrase = async (kind, key, isNew) => {
  const given = process.env[VARIABLES[kind]];
  if (given !== undefined) return given;
  const hint = `set ${VARIABLES[kind]}`;
  const typed = await ask(`Passphrase for ${isNew ? 'new ' : ''}${kind} key ${key}: `, false, hint);
  if (!isNew) return typed;
  if (typed.length < LEAST) throw new VmmError('USAGE', `the passphrase is shorter than ${LEAST} characters`, { hint });
  if ((await ask('Again: ', false, hint)) !== typed) throw new VmmError('USAGE', 'the passphrases differ', { hint });
  return typed;
};
