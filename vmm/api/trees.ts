/** Files on their way between containers and the host. */
export { type CopyBox, copyIn, copyOut, type How } from '../sandbox/copy.ts';
