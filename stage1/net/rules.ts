/** Rules of iptables that plugins have left behind: DEL of ptp and bridge finds them by the addresses of a namespace that may be gone. */
import { spawnSync } from 'node:child_process';

const LIMIT_MS = 20_000;

/** Takes away what has this pod's UUID in its comment, and the chains that these rules lead to. */
export function removeRules(uuid: string, path: string): void {
  for (const program of ['iptables', 'ip6tables']) {
    const run = (...args: readonly string[]): string => spawnSync(program, ['-w', '-t', 'nat', ...args], { env: { ...process.env, PATH: path }, encoding: 'utf8', timeout: LIMIT_MS, maxBuffer: 1 << 26 }).stdout ?? '';
    const chains = new Set<string>();
    for (const line of run('-S').split('\n')) {
      if (!line.startsWith('-A ') || !line.includes(`id: \\"${uuid}\\"`)) continue;
      const [, ...rule] = words(line);
      run('-D', ...rule);
      for (const chain of [rule[0], rule[rule.indexOf('-j') + 1]]) if (chain?.startsWith('CNI-') && !chain.startsWith('CNI-HOSTPORT-')) chains.add(chain);
    }
    for (const chain of chains) {
      run('-F', chain);
      run('-X', chain);
    }
  }
}

/** As iptables -S writes them: words, and texts in quotes with backslashes. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => (quoted === undefined ? (plain as string) : quoted.replace(/\\(.)/g, '$1')));
}
