/** Model-specific registers that a guest without firmware expects to be set (SDM Vol. 4). */
import { IA32_MISC_ENABLE, IA32_MTRR_DEF_TYPE } from '../../assembly/contract/x86.ts';
import type { Msr } from './vcpu.ts';

const MISC_ENABLE_FAST_STRING = 1n;
/** MTRRs on, default type write-back: what firmware would leave (SDM Vol. 3 §12.11.2.1). */
const MTRR_ENABLE_WRITE_BACK = 0x806n;

/** Set on each vCPU before its first instruction. */
export const BOOT_MSRS: readonly Msr[] = [
  [IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING],
  [IA32_MTRR_DEF_TYPE, MTRR_ENABLE_WRITE_BACK],
];
