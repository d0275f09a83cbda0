import { policyPath } from './policy-place.ts';
import { checkedName, pullCandidate } from './pull.ts';
import type { Environment } from './registry/credentials.ts';
import { judge } from './trust/policy/check.ts';
import { readPolicy } from './trust/policy/policy.ts';

/** Which rule of which policy applies to a registry's image, and what it finds, a line each. Throws TRUST_CONFIG, REGISTRY_*, IMAGE_*. */
export async function explainPolicy(text: string, env: Environment): Promise<string[]> {
  const path = policyPath(env);
  if (path === undefined) return ['there is no policy file ($VMM_POLICY, ~/.config/vmm/policy.json, /etc/vmm/policy.json): every image is let through'];
  const policy = readPolicy(path);
  const { rule, findings } = await pullCandidate(text, env, (candidate) => judge(policy, candidate, env));
  const refused = findings.some(({ fault }) => fault !== undefined);
  return [`${await checkedName(text, env)}: ${refused ? 'refused' : 'let through'} by ${path}, ${rule.scope}`, ...findings.map(({ type, fault }) => `${type}: ${fault ?? 'met'}`)];
}
