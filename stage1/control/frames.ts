/**
 * What the entry points enter, attach, stop and app-* say to the process of their pod, on the socket `vmm.sock` of the pod's directory (0600 in a folder of
 * root's: only root can connect). Version 1. Frames both ways, those of vmm/owner/frames.ts. The first frame of a client is REQUEST; an enter of
 * another version of this program may be at the other end, so the version is the first thing in it.
 */
export * from '../../vmm/api/frames.ts';

export const SOCKET = 'vmm.sock';
export const VERSION = 1;

/** Client: JSON of a Request. */
export const REQUEST = 1;
export type Request =
  | { readonly version: number; readonly kind: 'exec'; readonly app: string; readonly args: readonly string[]; readonly tty: boolean; readonly rows: number; readonly columns: number; readonly term: string | undefined }
  | { readonly version: number; readonly kind: 'attach'; readonly app: string; readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean; readonly rows: number; readonly columns: number }
  | { readonly version: number; readonly kind: 'stop' }
  | { readonly version: number; readonly kind: 'app-add' | 'app-start' | 'app-stop' | 'app-rm'; readonly app: string };
