/** How long a container may take to stop before it is killed, when nobody says. */
export const STOP_SECONDS = 10;
