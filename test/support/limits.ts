/** How long a test waits for what should come soon, ms. Only what hangs takes as long, on a machine with much else to do, too. */
export const HANG_MS = 600_000;
