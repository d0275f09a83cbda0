import { VmmError } from '../../base/errors.ts';

/** Resource numbers of setrlimit(2) on x86-64 (asm-generic/resource.h), under Docker's --ulimit names. */
const RLIMITS: Readonly<Record<string, number>> = {
  cpu: 0, fsize: 1, data: 2, stack: 3, core: 4, rss: 5, nproc: 6, nofile: 7, memlock: 8, as: 9, locks: 10, sigpending: 11, msgqueue: 12, nice: 13,
  rtprio: 14, rttime: 15,
};

const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;
/** The guest's kernel's fs.nr_open: what no limit of open files may exceed. */
const NOFILE_MAX = 1_048_576n;

export interface Rlimit {
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
}

/** Docker's `--ulimit name=soft[:hard]`; -1 is unlimited. */
export function parseUlimit(text: string): Rlimit {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  const resource = match === null ? undefined : RLIMITS[match[1] as string];
  if (match === null || resource === undefined) {
    throw new VmmError('USAGE', `--ulimit: ${text} is not NAME=SOFT[:HARD]`, { hint: `names: ${Object.keys(RLIMITS).join(' ')}` });
  }
  const value = (digits: string): bigint => (BigInt(digits) < 0n ? RLIM_INFINITY : BigInt(digits));
  const soft = value(match[2] as string);
  const hard = match[3] === undefined ? soft : value(match[3]);
  if (match[1] === 'nofile' && (hard > NOFILE_MAX || soft > NOFILE_MAX)) {
    throw new VmmError('USAGE', `--ulimit: ${text}: nofile goes up to ${NOFILE_MAX}, the guest's fs.nr_open`, { hint: `give nofile=${NOFILE_MAX} or less` });
  }
  if (soft > hard) throw new VmmError('USAGE', `--ulimit: ${text}: the soft limit is above the hard one`, { hint: 'swap them' });
  return { resource, soft, hard };
}

/** `net.core.somaxconn=1024`: the guest's kernel is the container's alone, so that any setting may be its own. Throws USAGE. */
export function parseSysctl(text: string, option = '--sysctl'): string {
  if (!/^[a-z0-9_]+([./][a-zA-Z0-9_-]+)+=[^\0\n]+$/.test(text) || text.length > 4000) throw new VmmError('USAGE', `${option}: ${text} is not NAME=VALUE`, { hint: 'for example net.core.somaxconn=1024' });
  return text;
}
