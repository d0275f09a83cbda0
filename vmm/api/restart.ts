/** What an owner does about its container's end; on the way to every `vmm run`, so without the rest of what owners are. */
export { parseRestart } from '../owner/restarts.ts';
