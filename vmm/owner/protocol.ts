/**
 * What clients say to the owner of a container, on its socket (in a folder of mode 0700: its user alone can connect). One line of JSON asks, one
 * answers, then the connection ends. The version comes first in both: an owner of another version refuses by name.
 */
export const PROTOCOL_VERSION = 1;
/** Bytes of a line. */
export const MAX_LINE = 4096;

export type Ask =
  | { readonly ask: 'wait' }
  | { readonly ask: 'signal'; readonly signal: number }
  /** The stop signal, after so many seconds SIGKILL; answered when the container has ended. */
  | { readonly ask: 'stop'; readonly seconds: number };

export type Answer =
  | { readonly version: number; readonly done: true; readonly status?: number | undefined }
  | { readonly version: number; readonly done: false; readonly code: string; readonly message: string };
