/** Containers in the background: what is known of them, and their processes. */
export { askOwner } from '../owner/client.ts';
export { LogWriter, readLogs } from '../owner/logs.ts';
export type { Ask } from '../owner/protocol.ts';
export { type Reply, serve } from '../owner/server.ts';
export { type Container, type ContainerRecord, RECORD_VERSION, StateFolder } from '../owner/state.ts';
