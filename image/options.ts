import type { Insecure } from './appc/insecure.ts';
import type { ImageStore } from './store/store.ts';
import type { LoadHost } from './tree/host.ts';
import type { Progress } from './tree/progress.ts';

/** When a registry is asked (docker run's --pull, podman's newer). */
export type PullPolicy = 'always' | 'missing' | 'never' | 'newer';

export interface ResolveOptions {
  readonly store?: ImageStore;
  /** What Node cannot do: extended attributes, sparse files, locks (vmm/host). */
  readonly host?: LoadHost;
  readonly progress?: Progress;
  /** When a registry is asked for what is a name; default: never. */
  readonly pull?: PullPolicy;
  /** Docker Content Trust: a tag of a registry is what was signed for it, and nothing else runs by a tag. */
  readonly contentTrust?: boolean;
  /** For ACIs; default: nothing is given up. */
  readonly insecure?: Insecure;
  /** Gets a line about what was left out or found odd in an import. */
  readonly note?: (text: string) => void;
}

