import type { VcpuExit } from '../accel/vcpu.ts';
import * as EV from '../../assembly/contract/machine.ts';

/** How a run ended. `code` as in docs/errors.md. */
export type MachineResult =
  | { readonly kind: 'poweroff' | 'reboot' | 'panic' | 'halt' | 'stopped' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  | { readonly kind: 'triple-fault'; readonly dump: string }
  /** A counted run came to its `stopAt`. */
  | { readonly kind: 'stop-at'; readonly dump: string }
  | { readonly kind: 'accel-error'; readonly reason: string; readonly dump: string };

// Exit statuses of a machine (docs/errors.md).
export const STATUS_OK = 0;
export const STATUS_REBOOT = 129;
export const STATUS_PANIC = 132;
export const STATUS_TRIPLE_FAULT = 133;
export const STATUS_KVM_ERROR = 134;
export const STATUS_STOP_AT = 135;

/** The exit status that says how a run ended. */
export function machineStatus(result: MachineResult): number {
  switch (result.kind) {
    case 'poweroff':
    case 'halt':
    case 'stopped':
      return STATUS_OK;
    case 'debug-exit':
      return ((result.value << 1) | 1) & 0xff;
    case 'reboot':
      return STATUS_REBOOT;
    case 'panic':
      return STATUS_PANIC;
    case 'stop-at':
      return STATUS_STOP_AT;
    case 'triple-fault':
      return STATUS_TRIPLE_FAULT;
    case 'accel-error':
      return STATUS_KVM_ERROR;
  }
}

/** What ended a life: its guest, or somebody outside. */
export type LifeEnd = VcpuExit | { readonly kind: 'stopped' | 'reset' };

/** Throws what made the run impossible. `request`: what the guest asked for (machine_exit_request), `debugValue`: the byte of port 0xf4. */
export function resultOf(end: LifeEnd, { request, debugValue, dump }: { request(): number; debugValue: number; dump(): string }): MachineResult {
  if (end.kind === 'stopped') return { kind: 'stopped' };
  if (end.kind === 'reset') return { kind: 'reboot' };
  if (end.kind === 'failed') throw end.error;
  if (end.kind === 'stop-at' || end.kind === 'triple-fault') return { kind: end.kind, dump: dump() };
  if (end.kind === 'error') return { kind: 'accel-error', reason: end.reason, dump: dump() };
  switch (request()) {
    case EV.MACHINE_EV_POWEROFF:
      return { kind: 'poweroff' };
    case EV.MACHINE_EV_REBOOT:
    case EV.MACHINE_EV_RESET:
      return { kind: 'reboot' };
    case EV.MACHINE_EV_PANIC:
      return { kind: 'panic' };
    case EV.MACHINE_EV_HALT:
      return { kind: 'halt' };
    case EV.MACHINE_EV_DEBUG_EXIT:
      return { kind: 'debug-exit', value: debugValue };
    default:
      return { kind: 'accel-error', reason: 'the machine stopped without a request', dump: dump() };
  }
}
