/** For programs whose start-up counts: threads that are started before a machine is described. */
export { adoptThread, prepareThreads } from '../machine/accelerator.ts';
