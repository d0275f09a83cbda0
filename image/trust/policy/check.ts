import { VmmError } from '../../../base/errors.ts';
import type { Environment } from '../../registry/credentials.ts';
import { fullName, type RegistryName } from '../../registry/name.ts';
import { pathScopes, type Policy, readPolicy, registryScopes, type Requirement, type Rule, ruleOf } from './policy.ts';
import { keptSignatures, type Met, NotKept, type Signatures } from '../signatures.ts';
import { sigstoreFault } from './sigstore.ts';

/** A requirement: why it is not met, or who signed what meets it. */
export interface Finding {
  readonly type: string;
  readonly fault: string | undefined;
  readonly by?: string | undefined;
}

/** What a policy says of an image that a registry has. */
export interface Verdict {
  readonly rule: Rule;
  /** A line for each requirement: whether it is met, and why not. */
  readonly findings: readonly Finding[];
}

/** An image as a registry has it, or had it when it was pulled. */
export interface Candidate {
  readonly name: RegistryName;
  /** Of the index or manifest that the name stands for, and of the image's manifest. */
  readonly digests: readonly string[];
  readonly signatures: Signatures;
  /** Nobody is asked any more: content trust cannot be told. */
  readonly kept?: boolean;
}

/** Evaluates the policy for a registry's image. Throws NotKept, TRUST_CONFIG, REGISTRY_*. */
export async function judge(policy: Policy, candidate: Candidate, env: Environment): Promise<Verdict> {
  const rule = ruleOf(policy, 'docker', registryScopes(fullName(candidate.name)));
  const findings: Finding[] = [];
  for (const requirement of rule.requirements) {
    let by: string | undefined;
    const fault = await faultOf(requirement, candidate, env, (who) => { by = who; });
    findings.push({ type: requirement.type, fault, by });
  }
  return { rule, findings };
}

async function faultOf(requirement: Requirement, { name, digests, signatures, kept }: Candidate, env: Environment, met: Met): Promise<string | undefined> {
  switch (requirement.type) {
    case 'insecureAcceptAnything':
      return undefined;
    case 'reject':
      return 'it is rejected';
    case 'signedBy':
      return (await import('./simple.ts')).simpleFault(signatures, name, digests, requirement.keys, requirement.identity, met);
    case 'contentTrust':
      if (kept === true) throw new NotKept();
      return contentTrustFault(name, digests, env);
    case 'notationSigned':
      return (await import('../notation/verify.ts')).notationFault(signatures, name, digests, env, met);
    case 'sigstoreSigned':
      return sigstoreFault(signatures, name, digests, requirement, met);
    case 'sigstoreAttested':
      return (await import('./attested.ts')).attestedFault(signatures, digests, requirement, met);
    case 'appcSigned':
      return 'appcSigned is for app container images';
  }
}

async function contentTrustFault(name: RegistryName, digests: readonly string[], env: Environment): Promise<string | undefined> {
  if (name.digest !== undefined) return 'content trust is about tags, and this is a digest';
  const { signedTarget } = await import('../notary/resolve.ts');
  try {
    const { digest } = await signedTarget(name, { env });
    return digests.includes(digest) ? undefined : `its tag is signed for ${digest}`;
  } catch (error) {
    if (error instanceof VmmError && error.code.startsWith('TRUST_')) return error.message;
    throw error;
  }
}

/** Lets a registry's image pass, or not. Returns the rule's stamp. Throws TRUST_REJECTED, TRUST_CONFIG, REGISTRY_*. */
export async function obeyPolicy(path: string, candidate: Candidate, env: Environment): Promise<string> {
  const policy = readPolicy(path);
  const { rule, findings } = await judge(policy, candidate, env);
  const fault = findings.find((finding) => finding.fault !== undefined)?.fault;
  if (fault !== undefined) throw rejected(fullName(candidate.name), rule, fault, path);
  return rule.stamp;
}

/** Whether a stored image may run by a name as it is: 'yes', or 'ask' where only the registry's signatures tell. Throws TRUST_REJECTED, TRUST_CONFIG. */
export function storedVerdict(path: string, full: string, stamp: string | undefined): 'yes' | 'ask' {
  const policy = readPolicy(path);
  const rule = ruleOf(policy, 'docker', registryScopes(full));
  // Notation's own policy and stores may have changed: what was kept is judged by them each time.
  if (stamp === rule.stamp && !rule.requirements.some(({ type }) => type === 'notationSigned')) return 'yes';
  if (rule.requirements.some(({ type }) => type === 'reject')) throw rejected(full, rule, 'it is rejected', path);
  return rule.requirements.every(({ type }) => type === 'insecureAcceptAnything') ? 'yes' : 'ask';
}

/**
 * Judges a stored image by what was kept of its signatures when it came, as `judge` does; the rule's stamp when it is let in, undefined when too
 * little was kept. Throws TRUST_REJECTED, TRUST_CONFIG.
 */
export async function judgeKept(path: string, name: RegistryName, note: string, env: Environment): Promise<string | undefined> {
  const kept = keptSignatures(note);
  if (kept === undefined) return undefined;
  try {
    return await obeyPolicy(path, { name, ...kept, kept: true }, env);
  } catch (error) {
    if (error instanceof NotKept) return undefined;
    throw error;
  }
}

/** An image of a path, by its transport: nothing signs it but an ACI, which is judged once it is known. Throws TRUST_REJECTED, TRUST_CONFIG. */
export function obeyPolicyForPath(policyPath: string, transport: string, path: string): void {
  const rule = ruleOf(readPolicy(policyPath), transport, pathScopes(path));
  const fault = rule.requirements.find(({ type }) => type !== 'insecureAcceptAnything' && type !== 'appcSigned');
  if (fault !== undefined) throw rejected(`${transport}:${path}`, rule, fault.type === 'reject' ? 'it is rejected' : `${fault.type} cannot be met by a file`, policyPath);
}

export function rejected(what: string, { scope }: Rule, fault: string, path: string): VmmError {
  return new VmmError('TRUST_REJECTED', `${what} may not be used: ${fault} (${path}, ${scope})`, { hint: 'see `vmm trust explain`' });
}
