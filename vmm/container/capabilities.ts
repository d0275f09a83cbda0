import { VmmError } from '../../base/errors.ts';
import type { Isolation } from '../../image/documents/config.ts';

/** Linux capability numbers (linux/capability.h), in order. */
export const CAPABILITIES = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT',
  'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE',
  'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ',
  'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
] as const;

/** What Docker gives a container when nobody asks for more or less. */
const DOCKER_DEFAULT = [
  'CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL',
  'AUDIT_WRITE',
];

export const ALL_CAPABILITIES = (1n << BigInt(CAPABILITIES.length)) - 1n;

/** The bit of one capability; `CAP_` in front and case do not matter. */
function capabilityBit(name: string, option: string): bigint {
  const plain = name.toUpperCase().replace(/^CAP_/, '');
  const index = (CAPABILITIES as readonly string[]).indexOf(plain);
  if (index < 0) throw new VmmError('USAGE', `${option}: ${name} is not a capability`, { hint: 'see capabilities(7); ALL names all of them' });
  return 1n << BigInt(index);
}

/** The capability set of a container as Docker computes it: ALL in --cap-add or --cap-drop first, then single names. An ACI may have another set to begin with. */
export function capabilitySet(add: readonly string[], drop: readonly string[], image: Isolation = {}): bigint {
  const isAll = (name: string): boolean => name.toUpperCase() === 'ALL';
  const union = (names: readonly string[], option: string): bigint => names.reduce((bits, name) => bits | capabilityBit(name, option), 0n);
  let set = union(image.retain ?? DOCKER_DEFAULT, 'capabilities that the image retains') & ~union(image.remove ?? [], 'capabilities that the image removes');
  if (add.some(isAll)) set = ALL_CAPABILITIES;
  if (drop.some(isAll)) set = 0n;
  for (const name of add) if (!isAll(name)) set |= capabilityBit(name, '--cap-add');
  for (const name of drop) if (!isAll(name)) set &= ~capabilityBit(name, '--cap-drop');
  return set;
}
