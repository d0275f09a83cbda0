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
