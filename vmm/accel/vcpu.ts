import type { VmmError } from '../../base/errors.ts';

/** What CPUID shows: all that the host has (KVM alone), the least that 64-bit Linux wants, or the psABI's second level. */
export type CpuModel = 'host' | 'baseline' | 'x86-64-v2';

/** The software CPU's, where nobody says: what today's user lands are compiled for (x86-64 psABI 1.0, 3.1.1). */
export const SOFTWARE_MODEL: CpuModel = 'x86-64-v2';

/** Why a vCPU stopped. `request`: machine_exit_request() says what the guest asked for. */
export type VcpuExit =
  | { readonly kind: 'request' }
  | { readonly kind: 'triple-fault'; readonly vcpu: number }
  /** A counted run has come to the instruction where it shall end. */
  | { readonly kind: 'stop-at' }
  /** The run itself is not possible any more. */
  | { readonly kind: 'failed'; readonly error: VmmError }
  | { readonly kind: 'error'; readonly vcpu: number; readonly reason: string };

/** A vCPU's registers, for dumps and the debugger: names as in the SDM, values as bigint. */
export type Registers = ReadonlyMap<string, bigint>;
