/** How long a container may take to stop before it is killed, when nobody says. */
export const STOP_SECONDS = 10;
/** An owner's argument: its command waits for a client that is attached. */
export const WAITS = 'wait';
/** What it says then, once one can be. */
export const READY = 'ready\n';
