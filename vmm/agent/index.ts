export { AgentError } from './errors.ts';
export type { Consumer, ExitStatus } from './process.ts';
export { ProcessHandle } from './process.ts';
export type { GuestInfo, PowerMode, SessionOptions } from './session.ts';
export { AgentSession } from './session.ts';
export type {
  Capabilities,
  ContainerSpec,
  DeviceNode,
  Mount,
  NamespaceName,
  ProcessSpec,
  ProvidedFile,
  Rlimit,
  SandboxSpec,
  Source,
  WindowSize,
} from './spec.ts';
export type { Listener, Stream, Transport } from './transport.ts';
