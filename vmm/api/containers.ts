/** Containers: one in a guest of its own (`ContainerRun`), or any number of them in one guest (`Guest`). */
export { AgentError } from '../agent/errors.ts';
export type { ExitStatus, ProcessHandle } from '../agent/process.ts';
export type { GuestInfo, PowerMode } from '../agent/session.ts';
export type { Capabilities, ContainerSpec, DeviceNode, Mount, NamespaceName, ProcessSpec, ProvidedFile, SandboxSpec, Source, WindowSize } from '../agent/spec.ts';
export type { Stream } from '../agent/transport.ts';
export { CAPABILITIES, capabilitySet } from '../container/capabilities.ts';
export { containerEnvironment } from '../container/env.ts';
export { imageCpus, imageMemory } from '../container/isolation.ts';
export { parseUlimit, type Rlimit } from '../container/limits.ts';
export type { BindMount, ContainerMount, ShareCache, VolumeMount } from '../container/mounts.ts';
export { type ContainerOptions, processArguments, randomId, type TmpfsMount } from '../container/options.ts';
export { type ContainerIo, type ContainerMachine, type ContainerResult, ContainerRun } from '../container/run.ts';
export { parseDevice, parseSecurityOptions, type Security } from '../container/security.ts';
export { signalNumber } from '../container/signals.ts';
export { containerSpec } from '../container/spec.ts';
export type { SystemdMode } from '../container/systemd.ts';
export { Guest, type GuestConfig, GuestContainer, type GuestListener } from '../guest/guest.ts';
export { openScratch, type ScratchDisk } from '../guest/scratch.ts';
