import { VmmError } from '../../base/errors.ts';

/** What of an ACI's security the user gives up (rkt's --insecure-options). */
export interface Insecure {
  /** Unsigned images run, and signatures are not looked at. */
  readonly image: boolean;
  /** Certificates are not checked. */
  readonly tls: boolean;
  /** http where https fails. */
  readonly http: boolean;
  /** Apps of pods keep all capabilities. */
  readonly capabilities?: boolean;
  /** Nothing of their /proc and /sys is covered. */
  readonly paths?: boolean;
  /** They have no filter of system calls. */
  readonly seccomp?: boolean;
}

const WORDS = ['image', 'tls', 'http', 'pubkey', 'ondisk', 'capabilities', 'paths', 'seccomp', 'all-fetch', 'all-run', 'all', 'none'];

/** rkt's `--insecure-options=A,B`. Those of its words that have no meaning here change nothing. Throws USAGE. */
export function parseInsecure(text: string, option: string): Insecure {
  const words = text.split(',');
  for (const word of words) if (!WORDS.includes(word)) throw new VmmError('USAGE', `${option}: ${word} is not known`, { hint: `of ${WORDS.join(', ')}` });
  const has = (...any: readonly string[]): boolean => any.some((word) => words.includes(word));
  return {
    image: has('image', 'all-fetch', 'all'),
    tls: has('tls', 'all-fetch', 'all'),
    http: has('http', 'all-fetch', 'all'),
    capabilities: has('capabilities', 'all-run', 'all'),
    paths: has('paths', 'all-run', 'all'),
    seccomp: has('seccomp', 'all-run', 'all'),
  };
}
