/** What a command line says of a process: small, for clients that run no machine themselves. */
export { askedVariables } from '../container/env.ts';
export { signalNumber } from '../container/signals.ts';
