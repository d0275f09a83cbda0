import { VmmError } from '../base/errors.ts';
import { manifestOf, storedAci } from './appc/stored.ts';
import { parseAppText } from './appc/texts.ts';
import { policyPath } from './policy-place.ts';
import { checkedName, pullCandidate } from './pull.ts';
import type { Environment } from './registry/credentials.ts';
import { parseRegistryName } from './registry/name.ts';
import { ImageStore, signaturesOf } from './store/store.ts';
import { judgeAci } from './trust/policy/appc.ts';
import { judge, type Verdict } from './trust/policy/check.ts';
import { readPolicy } from './trust/policy/policy.ts';
import { keptSignatures } from './trust/signatures.ts';

/**
 * Which rule of which policy applies to an image, who signed it, and what is missing, a line each: of a registry's image, or where that cannot be
 * asked, as it was when it came; of a stored app container image (`aci:NAME`). Throws TRUST_CONFIG, REGISTRY_*, IMAGE_*.
 */
export async function explainPolicy(text: string, env: Environment, store: ImageStore = new ImageStore()): Promise<string[]> {
  const path = policyPath(env);
  if (path === undefined) return ['there is no policy file ($VMM_POLICY, ~/.config/vmm/policy.json, /etc/vmm/policy.json): every image is let through'];
  if (text.startsWith('aci:')) return lines(text, path, await aciVerdict(text.slice(4), path, env, store));
  const policy = readPolicy(path);
  const full = await checkedName(text, env);
  try {
    return lines(full, path, await pullCandidate(text, env, (candidate) => judge(policy, candidate, env)));
  } catch (error) {
    const record = error instanceof VmmError && error.code === 'REGISTRY_CONNECT' ? store.find(full) : undefined;
    const kept = record === undefined ? undefined : keptSignatures(store.sourceNote(signaturesOf(full), record.id));
    if (kept === undefined) throw error;
    return [...lines(full, path, await judge(policy, { name: parseRegistryName(full), ...kept, kept: true }, env).catch(() => { throw error; })), 'its registry cannot be asked: this is by the signatures that came with it'];
  }
}

async function aciVerdict(text: string, path: string, env: Environment, store: ImageStore): Promise<Verdict> {
  const record = storedAci(store, parseAppText(text));
  const name = record === undefined ? undefined : manifestOf(record)?.name;
  if (record === undefined || name === undefined) throw new VmmError('IMAGE_NOT_FOUND', `no app container image ${text} in the store`, { hint: 'fetch it: `vmm aci fetch`' });
  return judgeAci(path, { what: `aci:${name}`, transport: 'appc', name, signedBy: record.signedBy }, env);
}

function lines(what: string, path: string, { rule, findings }: Verdict): string[] {
  const refused = findings.some(({ fault }) => fault !== undefined);
  return [`${what}: ${refused ? 'refused' : 'let through'} by ${path}, ${rule.scope}`, ...findings.map(({ type, fault, by }) => `${type}: ${fault ?? (by === undefined ? 'met' : `met, signed by ${by}`)}`)];
}
