/** Exit statuses of the CLI (docs/errors.md). A container's own status, 126, 127 and 128+n pass through as Docker gives them. */
export * from '../api/status.ts';
export const STATUS_TIMEOUT = 124;
export const STATUS_VMM_ERROR = 125;
/** 128 + SIGPIPE. */
export const STATUS_READER_GONE = 141;
