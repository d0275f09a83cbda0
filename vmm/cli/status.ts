/** Exit statuses of the CLI (docs/errors.md). A container's own status, 126, 127 and 128+n pass through as Docker gives them. */
export const STATUS_OK = 0;
export const STATUS_TIMEOUT = 124;
export const STATUS_VMM_ERROR = 125;
export const STATUS_REBOOT = 129;
export const STATUS_PANIC = 132;
export const STATUS_TRIPLE_FAULT = 133;
export const STATUS_KVM_ERROR = 134;
export const STATUS_STOP_AT = 135;
