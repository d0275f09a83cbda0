import { VmmError } from '../../../base/errors.ts';
import { keysFor, keystorePaths } from '../../appc/keystore.ts';
import { loadOpenPgp } from '../../appc/openpgp.ts';
import type { Environment } from '../../registry/credentials.ts';
import { type Finding, rejected, type Verdict } from './check.ts';
import { pathScopes, readPolicy, ruleOf, type Requirement } from './policy.ts';

/** An app container image, as it was found to be signed when it came. */
export interface AciFacts {
  /** What is judged: its name, or the path or URL that the user gave. */
  readonly what: string;
  /** The most specific first; without: the name's. */
  readonly scopes?: readonly string[];
  readonly transport: string;
  /** Its manifest's name: whose keys count. */
  readonly name: string;
  readonly signedBy: string | undefined;
}

/** Evaluates the policy for an app container image: by its name it is one of the transport `appc`. Throws TRUST_CONFIG. */
export async function judgeAci(policyFile: string, { scopes, transport, name, signedBy }: AciFacts, env: Environment): Promise<Verdict> {
  const rule = ruleOf(readPolicy(policyFile), transport, scopes ?? pathScopes(name));
  const findings: Finding[] = [];
  for (const requirement of rule.requirements) {
    const fault = await faultOf(requirement, name, signedBy, env, policyFile);
    findings.push({ type: requirement.type, fault, by: requirement.type === 'appcSigned' ? `the key ${signedBy}` : undefined });
  }
  return { rule, findings };
}

/** Lets an app container image pass, or not. Throws TRUST_REJECTED, TRUST_CONFIG. */
export async function obeyPolicyForAci(policyFile: string, facts: AciFacts, env: Environment): Promise<void> {
  const { rule, findings } = await judgeAci(policyFile, facts, env);
  const fault = findings.find((finding) => finding.fault !== undefined)?.fault;
  if (fault !== undefined) throw rejected(facts.what, rule, fault, policyFile);
}

async function faultOf(requirement: Requirement, name: string, signedBy: string | undefined, env: Environment, policyFile: string): Promise<string | undefined> {
  if (requirement.type === 'insecureAcceptAnything') return undefined;
  if (requirement.type === 'reject') return 'it is rejected';
  if (requirement.type !== 'appcSigned') return `${requirement.type} cannot be met by an app container image`;
  if (signedBy === undefined) return 'no signature of it was verified when it came';
  const keys = requirement.keys.length > 0 ? await fingerprintsOf(requirement.keys, policyFile) : (await keysFor(keystorePaths(env), name, () => {})).map((key) => key.getFingerprint());
  return keys.includes(signedBy) ? undefined : `it is signed by ${signedBy}, whose key is not one that may`;
}

async function fingerprintsOf(rings: readonly Buffer[], policyFile: string): Promise<string[]> {
  const { readKeys } = await loadOpenPgp();
  const found: string[] = [];
  for (const ring of rings) {
    try {
      const keys = await (((ring[0] ?? 0) & 0x80) === 0 ? readKeys({ armoredKeys: ring.toString('latin1') }) : readKeys({ binaryKeys: ring }));
      found.push(...keys.map((key) => key.getFingerprint()));
    } catch (cause) {
      throw new VmmError('TRUST_CONFIG', `${policyFile}: a key of appcSigned is no OpenPGP key: ${(cause as Error).message.slice(0, 200)}`, { cause, hint: 'export it with `gpg --armor --export`' });
    }
  }
  return found;
}
