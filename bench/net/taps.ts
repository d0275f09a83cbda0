/** Two taps in this network namespace: what goes in at one comes out at the other, and nothing else is about. */
import { execFileSync } from 'node:child_process';

export const TAPS = ['in0', 'out0'] as const;

export function tapPair(): void {
  const ip = (words: string): void => void execFileSync('ip', words.split(' '), { timeout: 10_000 });
  execFileSync('sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1'], { timeout: 10_000 });
  ip('link add both0 type bridge forward_delay 0 mcast_snooping 0');
  ip('link set both0 up');
  for (const tap of TAPS) for (const words of [`tuntap add ${tap} mode tap vnet_hdr`, `link set ${tap} master both0 up`]) ip(words);
}
