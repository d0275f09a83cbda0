/** Rules of iptables that plugins have left behind: DEL of ptp and bridge finds them by the addresses of a namespace that may be gone. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';

const LIMIT_MS = 20_000;

/** The names that CNI's plugins give a pod's chains (containernetworking/plugins, pkg/utils: FormatChainName): a plugin that was killed has made a chain, and no rule yet. */
function chainNames(uuid: string, networks: readonly string[]): string[] {
  const length = 28;
  return networks.flatMap((name) => {
    const hash = createHash('sha512').update(`${name}${uuid}`).digest('hex');
    return ['CNI-', 'CNI-DN-', 'CNI-SN-'].map((prefix) => `${prefix}${hash}`.slice(0, length));
  });
}

/** Takes away what has this pod's UUID in its comment, and the pod's chains. */
export function removeRules(uuid: string, networks: readonly string[], path: string): void {
  const own = chainNames(uuid, networks);
  for (const program of ['iptables', 'ip6tables']) {
    const run = (...args: readonly string[]): string => spawnSync(program, ['-w', '-t', 'nat', ...args], { env: { ...process.env, PATH: path }, encoding: 'utf8', timeout: LIMIT_MS, maxBuffer: 1 << 26 }).stdout ?? '';
    const lines = run('-S').split('\n');
    for (const line of lines) {
      const [kind, ...rule] = words(line);
      if (kind === '-A' && (line.includes(`id: \\"${uuid}\\"`) || own.includes(rule[rule.indexOf('-j') + 1] ?? ''))) run('-D', ...rule);
    }
    for (const chain of own.filter((each) => lines.includes(`-N ${each}`))) {
      run('-F', chain);
      run('-X', chain);
    }
  }
}

/** As iptables -S writes them: words, and texts in quotes with backslashes. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => (quoted === undefined ? (plain as string) : quoted.replace(/\\(.)/g, '$1')));
}
