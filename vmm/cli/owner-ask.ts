/** How long a container may take to stop before it is killed, when nobody says. */
export const STOP_SECONDS = 10;
/** An owner's argument: its command waits for a client that is attached. */
export const WAITS = 'wait';
/** An owner's argument: the container does not run, and its files are given to the client. */
export const FILES = 'files';
/** An owner's argument, in the place of --root: it makes the container itself, as its standard input says (Making). */
export const MAKES = 'run';

/** `vmm run` in this process, whatever its words. */
export const RUN_HERE = 'run-here';

/*
 * What an owner says of its start to the client that has started it, on its descriptor 3, a line each: `note TEXT`, `progress JSON`, `begun` (it makes the container), `ready` (a client
 * can be attached; where it makes the container, with a Joining), and last `started`, `here` (it is a run that has no owner), or a status and, in the lines that follow, why.
 */
export const NOTE = 'note';
export const PROGRESS = 'progress';
export const BEGUN = 'begun';
export const READY = 'ready';
export const STARTED = 'started';
export const HERE = 'here';

/** What an owner that makes its container reads first, as JSON. */
export interface Making {
  /** What its client runs on. */
  readonly terminal: 'terminal' | 'none';
  /** The words of `vmm run`. */
  readonly argv: readonly string[];
}

/** What a client of `vmm run` needs to know, which does not read its words itself. */
export interface Joining {
  readonly id: string;
  readonly socket: string;
  /** The container's folder; `goes`: it is left empty at the end. */
  readonly folder: string;
  readonly goes: boolean;
  readonly name: string | undefined;
  /** It goes with the client. */
  readonly bound: boolean;
  readonly input: boolean;
  readonly without: readonly ('stdout' | 'stderr')[];
  readonly detachKeys: readonly number[] | undefined;
  readonly sigProxy: boolean;
  readonly quiet: boolean;
}
