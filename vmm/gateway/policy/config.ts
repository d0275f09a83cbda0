/** What a policy of egress says (docs/networks.md, "Policy"). Those that run without one need no more of it than this file. */

/** A network: the first `bits` bits. */
export interface Prefix {
  readonly network: Uint8Array;
  readonly bits: number;
}

export type Protocol = 'tcp' | 'udp';

export type Target =
  | { readonly kind: 'any' }
  | { readonly kind: 'prefix'; readonly prefix: Prefix }
  /** `suffix`: names below it, not itself. */
  | { readonly kind: 'domain'; readonly name: string; readonly suffix: boolean };

export interface Rule {
  readonly action: 'allow' | 'deny';
  readonly target: Target;
  /** Both ends count; undefined: every port. */
  readonly ports: readonly [first: number, last: number] | undefined;
  readonly protocol: Protocol | undefined;
  /** As its user wrote it. */
  readonly text: string;
}

export interface PolicyConfig {
  /** What holds where no rule matches. */
  readonly egress: 'allow' | 'deny';
  /** The first that matches holds. */
  readonly rules: readonly Rule[];
  /** What a name's rule admits has to begin with TLS, for a name of that rule. */
  readonly strictSni: boolean;
}

export const OPEN_POLICY: PolicyConfig = { egress: 'allow', rules: [], strictSni: false };
