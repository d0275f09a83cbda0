/** Containers in the background: what is known of them, and their processes. */
export { Attached } from '../owner/attached.ts';
export type { Channel } from '../owner/channel.ts';
export { askOwner, Refused, type Talk, talkToOwner } from '../owner/client.ts';
export { Denials } from '../owner/denials.ts';
export { type ContainerEvent, EventReader, EventWriter, eventOf } from '../owner/events.ts';
export { type Health, type HealthCheck, HealthWatch, type Probe } from '../owner/health.ts';
export type { Held } from '../owner/files.ts';
export { type LogSink, LogWriter, NO_LOG, readLogs } from '../owner/logs.ts';
export { RemoteProcess } from '../owner/remote-process.ts';
export { type AddedDevice, type Ask, type AttachAsk, ENDED_OUT_OF_MEMORY, ENDED_ROOT_FULL, ENDED_WITH_MACHINE, type ExecAsk, type InsideAsk, type JoinAsk, PROTOCOL_VERSION, type Size, type Stats } from '../owner/protocol.ts';
export { type Container, type ContainerEnd, type ContainerLife, type ContainerPort, type ContainerRecord, type LogConfig, passes, RECORD_VERSION, type RecordedCard, type RecordedDisk, type RecordedMount, type RestartPolicy, runs } from '../owner/record.ts';
export { NO_RESTART, Restarts } from '../owner/restarts.ts';
export { type Reply, serve } from '../owner/server.ts';
export { statsOf } from '../owner/stats.ts';
export { withSocketPath } from '../owner/socket.ts';
export { StateFolder } from '../owner/state.ts';
export { type Talker, talk } from '../owner/talk.ts';
