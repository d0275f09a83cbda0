import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The policy file that images have to obey (containers-policy.json(5)): $VMM_POLICY, else the user's, else the system's; undefined where there
 * is none, and everything is let through.
 */
export function policyPath(env: Readonly<Record<string, string | undefined>>): string | undefined {
  // A file that is named has to be there.
  if (env['VMM_POLICY']) return env['VMM_POLICY'];
  return [join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'vmm/policy.json'), '/etc/vmm/policy.json'].find((path) => existsSync(path));
}
