import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { Environment } from '../../registry/credentials.ts';
import { Certificate } from '../certificate.ts';

export type Check = 'authenticity' | 'authenticTimestamp' | 'expiry' | 'revocation';
export type Action = 'enforce' | 'log' | 'skip';

/** One of the policies in Notation's trustpolicy.json (specifications, trust-store-trust-policy.md). */
export interface TrustPolicy {
  readonly name: string;
  readonly level: string;
  readonly action: (check: Check) => Action;
  /** Timestamps are asked for only once a certificate has expired. */
  readonly afterExpiryOnly: boolean;
  /** `ca:NAME`, `signingAuthority:NAME`, `tsa:NAME`. */
  readonly stores: readonly string[];
  /** `*`, or attributes of the signer's subject. */
  readonly identities: readonly ('*' | ReadonlyMap<string, string>)[];
}

const LEVELS: Readonly<Record<string, Readonly<Record<Check, Action>>>> = {
  strict: { authenticity: 'enforce', authenticTimestamp: 'enforce', expiry: 'enforce', revocation: 'enforce' },
  permissive: { authenticity: 'enforce', authenticTimestamp: 'log', expiry: 'log', revocation: 'log' },
  audit: { authenticity: 'log', authenticTimestamp: 'log', expiry: 'log', revocation: 'log' },
  skip: { authenticity: 'skip', authenticTimestamp: 'skip', expiry: 'skip', revocation: 'skip' },
};
const STORE = /^(ca|signingAuthority|tsa):([A-Za-z0-9_.-]+)$/;

/** Notation's folder: $NOTATION_CONFIG, else notation/ below the user's configuration. */
function notationFolder(env: Environment): string {
  return env['NOTATION_CONFIG'] || join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'notation');
}

/** The policy for a repository: the one that names it, else that of `*`. Throws TRUST_CONFIG. */
export function trustPolicyFor(repository: string, env: Environment): TrustPolicy | undefined {
  const folder = notationFolder(env);
  const [path, bytes] = policyFile(folder);
  try {
    const document = JsonObject.parse(bytes, path);
    if (document.string('version') !== '1.0') throw new VmmError('TRUST_CONFIG', `${path}: a version that is not read here`, { hint: '1.0 is' });
    const policies = document.objects('trustPolicies');
    const entry = policies.find((one) => one.strings('registryScopes').includes(repository)) ?? policies.find((one) => one.strings('registryScopes').includes('*'));
    return entry === undefined ? undefined : policyOf(entry, path);
  } catch (cause) {
    if (!(cause instanceof VmmError) || cause.code === 'TRUST_CONFIG') throw cause;
    throw new VmmError('TRUST_CONFIG', cause.message, { cause, hint: 'see Notation’s trust policy specification' });
  }
}

function policyFile(folder: string): [path: string, bytes: Buffer] {
  for (const name of ['trustpolicy.oci.json', 'trustpolicy.json']) {
    const path = join(folder, name);
    try {
      return [path, readFileSync(path)];
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw new VmmError('TRUST_CONFIG', `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
    }
  }
  throw new VmmError('TRUST_CONFIG', `there is no trust policy of Notation in ${folder}`, { hint: 'notationSigned asks it: trustpolicy.json' });
}

function policyOf(entry: JsonObject, path: string): TrustPolicy {
  const name = entry.string('name');
  const verification = entry.object('signatureVerification');
  const level = verification?.string('level') ?? '';
  const actions = Object.hasOwn(LEVELS, level) ? LEVELS[level] : undefined;
  if (actions === undefined) throw new VmmError('TRUST_CONFIG', `${path}: ${JSON.stringify(level.slice(0, 60))} is no level`, { hint: 'strict, permissive, audit or skip' });
  const overridden = new Map<string, Action>();
  const override = verification?.object('override');
  for (const check of verification?.keysOf('override') ?? []) {
    const action = override?.string(check) as Action;
    if (!Object.hasOwn(actions, check) || !['enforce', 'log', 'skip'].includes(action)) throw new VmmError('TRUST_CONFIG', `${path}: ${name}: an override that is none`, { hint: 'authenticity, authenticTimestamp, expiry or revocation: enforce, log or skip' });
    overridden.set(check, action);
  }
  const stores = entry.strings('trustStores');
  const bad = stores.find((store) => !STORE.test(store));
  if (bad !== undefined) throw new VmmError('TRUST_CONFIG', `${path}: ${name}: ${JSON.stringify(bad.slice(0, 60))} is no trust store that is read here`, { hint: 'ca:NAME, signingAuthority:NAME or tsa:NAME' });
  const when = verification?.optionalString('verifyTimestamp') ?? '';
  if (!['', 'always', 'afterCertExpiry'].includes(when)) throw new VmmError('TRUST_CONFIG', `${path}: ${name}: verifyTimestamp is neither always nor afterCertExpiry`, { hint: 'leave it out for always' });
  return { name, level, action: (check) => overridden.get(check) ?? actions[check], afterExpiryOnly: when === 'afterCertExpiry', stores, identities: entry.strings('trustedIdentities').map((text) => identityOf(text, path)) };
}

/** `x509.subject: C=US, ST=WA, O=Example`, or `*`. */
function identityOf(text: string, path: string): '*' | ReadonlyMap<string, string> {
  if (text === '*') return '*';
  const attributes = new Map<string, string>();
  const body = /^x509\.subject:(.*)$/s.exec(text)?.[1];
  for (const part of body?.match(/(?:[^,\\]|\\.)+/gs) ?? []) {
    const [, key = '', value = ''] = /^\s*([A-Za-z0-9.]+)\s*=\s*(.*?)\s*$/s.exec(part) ?? [];
    if (key !== '') attributes.set(key.toUpperCase(), value.replace(/\\(.)/g, '$1'));
  }
  if (!['C', 'ST', 'O'].every((key) => attributes.has(key))) throw new VmmError('TRUST_CONFIG', `${path}: ${JSON.stringify(text.slice(0, 100))} is no trusted identity`, { hint: '`*`, or x509.subject with C, ST and O at least' });
  return attributes;
}

/** The certificates of trust stores of one kind. Throws TRUST_CONFIG. */
export function trustStore(kind: 'ca' | 'signingAuthority' | 'tsa', stores: readonly string[], env: Environment): Certificate[] {
  const found: Certificate[] = [];
  for (const [, type = '', name = ''] of stores.map((store) => STORE.exec(store) ?? [])) {
    if (type !== kind) continue;
    const folder = join(notationFolder(env), 'truststore/x509', type, name);
    try {
      for (const file of readdirSync(folder).sort()) {
        const bytes = readFileSync(join(folder, file));
        found.push(...(bytes.includes('-----BEGIN') ? Certificate.all(bytes.toString('latin1')) : [new Certificate(bytes)]));
      }
    } catch (cause) {
      throw new VmmError('TRUST_CONFIG', `cannot read the trust store ${folder}: ${(cause as NodeJS.ErrnoException).code ?? 'no certificate'}`, { cause, hint: 'notation cert add' });
    }
  }
  return found;
}
