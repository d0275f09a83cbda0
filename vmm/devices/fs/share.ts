import type { Quota } from './quota.ts';

/** What the thread that serves a directory of the host knows of it. */
export interface Share {
  /** Number among the machine's shares; never used again. */
  readonly number: number;
  /** Name in the device's root; '' for the root itself. */
  readonly name: string;
  readonly slot: number;
  /** O_PATH descriptor of its directory, or file. */
  readonly fd: number;
  readonly readOnly: boolean;
  /** Other file systems beneath are part of it. */
  readonly crossing: boolean;
  /** Owners and modes are kept beside the files (owners.ts). */
  readonly mapped: boolean;
  readonly cache: 'none' | 'auto' | 'always';
  /** The guest may hold writes back (FUSE_WRITEBACK_CACHE). */
  readonly writeback: boolean;
  /** The guest's programs hear of what the host changes. */
  readonly watch: boolean;
  /** What its guest may take of the host's file system; all exports of one directory have the same. */
  readonly quota: Quota | undefined;
  /** Its inode, which stays as long as it. */
  node: number;
  /** STATX_MNT_ID of its root. */
  mount: number;
  dev: number;
}

/** How long a guest may go without asking again, seconds. */
export function validity({ cache }: Share): number {
  return cache === 'none' ? 0 : cache === 'auto' ? 1 : 86400;
}
