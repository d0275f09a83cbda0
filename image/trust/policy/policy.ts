import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { VmmError } from '../../../base/errors.ts';
import { JsonObject } from '../../documents/json.ts';
import type { Identity } from './identity.ts';
import { PolicyFiles } from './policy-files.ts';
import { type AttestedRequirement, attestedRequirement, type SigstoreRequirement, sigstoreRequirement } from './sigstore-requirement.ts';

/** What a scope asks of an image (containers-policy.json(5)); `contentTrust` (Docker Content Trust), `notationSigned` (by Notation's own trust policy), `sigstoreAttested` and `appcSigned` are ours. */
export type Requirement =
  | { readonly type: 'insecureAcceptAnything' | 'reject' | 'contentTrust' | 'notationSigned' }
  | { readonly type: 'signedBy'; readonly keys: readonly Buffer[]; readonly identity: Identity }
  | SigstoreRequirement
  | AttestedRequirement
  /** `keys`: of these alone, else of any that is trusted for the image's name. */
  | { readonly type: 'appcSigned'; readonly keys: readonly Buffer[] };

/** A rule of a policy: where it stands and what it asks. */
export interface Rule {
  /** `default`, `docker`, `docker: ghcr.io/owner`. */
  readonly scope: string;
  readonly requirements: readonly Requirement[];
  /** Of the policy, and of the keys that the rule names: a verdict holds for these alone. */
  readonly stamp: string;
}

export interface Policy {
  readonly path: string;
  /** SHA-256 of the file. */
  readonly stamp: string;
  readonly document: JsonObject;
}

/** Reads a policy. Throws TRUST_CONFIG: without one that can be understood nothing is let through. */
export function readPolicy(path: string): Policy {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
  return inPolicy(path, () => {
    const document = JsonObject.parse(bytes, path);
    if (document.objects('default').length === 0) throw new VmmError('TRUST_CONFIG', `${path} has no default`, { hint: 'see containers-policy.json(5)' });
    return { path, stamp: createHash('sha256').update(bytes).digest('hex'), document };
  });
}

function inPolicy<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof VmmError) || cause.code === 'TRUST_CONFIG') throw cause;
    throw new VmmError('TRUST_CONFIG', cause.message, { cause, hint: `mend ${path}: see containers-policy.json(5)` });
  }
}

/** The rule for an image of a transport: the most specific of its scopes, else the transport's own, else the default. Throws TRUST_CONFIG. */
export function ruleOf({ path, document, stamp }: Policy, transport: string, scopes: readonly string[]): Rule {
  return inPolicy(path, () => {
    const files = new PolicyFiles(path, stamp);
    const own = document.object('transports')?.object(transport);
    const scope = [...scopes, ''].find((candidate) => own?.has(candidate) === true);
    const list = scope === undefined ? document.objects('default') : (own?.objects(scope) ?? []);
    if (list.length === 0) throw new VmmError('TRUST_CONFIG', `${path}: the scope ${JSON.stringify(scope)} of ${transport} asks for nothing`, { hint: 'give it a requirement, such as insecureAcceptAnything' });
    return { scope: scope === undefined ? 'default' : `${transport}${scope === '' ? '' : `: ${scope}`}`, requirements: list.map((entry) => requirementOf(entry, files)), stamp: files.stamp };
  });
}

/** The scopes of an image of a registry: its name, its repository, what that lies in, its host, the domains of its host. */
export function registryScopes(full: string): string[] {
  const repository = full.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
  const scopes = [full];
  for (let at = repository; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) scopes.push(at);
  const labels = (repository.split('/')[0] ?? '').replace(/:\d+$/, '').split('.');
  for (let i = 1; i < labels.length; i++) scopes.push(`*.${labels.slice(i).join('.')}`);
  return scopes;
}

/** The scopes of a path: itself, and the folders that it lies in. */
export function pathScopes(path: string): string[] {
  const scopes = [];
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) scopes.push(at);
  return scopes;
}

function requirementOf(entry: JsonObject, files: PolicyFiles): Requirement {
  const { path } = files;
  const type = entry.string('type');
  switch (type) {
    case 'insecureAcceptAnything':
    case 'reject':
    case 'contentTrust':
    case 'notationSigned':
      return { type };
    case 'signedBy':
      if (entry.string('keyType') !== 'GPGKeys') throw new VmmError('TRUST_CONFIG', `${path}: signedBy of another keyType than GPGKeys`, { hint: 'see containers-policy.json(5)' });
      return { type, keys: needed(files.of(entry, 'key'), 'signedBy', path), identity: identityOf(entry.object('signedIdentity')) };
    case 'sigstoreSigned':
      return sigstoreRequirement(entry, files, identityOf(entry.object('signedIdentity')));
    case 'sigstoreAttested':
      return attestedRequirement(entry, files);
    case 'appcSigned':
      return { type, keys: files.of(entry, 'key') };
    default:
      throw new VmmError('TRUST_CONFIG', `${path}: a requirement of the unknown type ${JSON.stringify(type.slice(0, 60))}`, { hint: 'insecureAcceptAnything, reject, signedBy, sigstoreSigned, sigstoreAttested, contentTrust, notationSigned or appcSigned' });
  }
}

function needed(files: readonly Buffer[], what: string, path: string): readonly Buffer[] {
  if (files.length === 0) throw new VmmError('TRUST_CONFIG', `${path}: ${what} needs one of keyPath, keyPaths and keyData`, { hint: 'see containers-policy.json(5)' });
  return files;
}

function identityOf(entry: JsonObject | undefined): Identity {
  const type = entry?.string('type') ?? 'matchRepoDigestOrExact';
  switch (type) {
    case 'matchDigest':
    case 'matchExact':
    case 'matchRepoDigestOrExact':
    case 'matchRepository':
      return { type, reference: '', signedPrefix: '' };
    case 'exactReference':
      return { type, reference: entry?.string('dockerReference') ?? '', signedPrefix: '' };
    case 'exactRepository':
      return { type, reference: entry?.string('dockerRepository') ?? '', signedPrefix: '' };
    case 'remapIdentity':
      return { type, reference: entry?.string('prefix') ?? '', signedPrefix: entry?.string('signedPrefix') ?? '' };
    default:
      throw new VmmError('TRUST_CONFIG', `a signedIdentity of the unknown type ${JSON.stringify(type.slice(0, 60))}`, { hint: 'see containers-policy.json(5)' });
  }
}
