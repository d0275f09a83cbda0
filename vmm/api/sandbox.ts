/** Sandboxes: code that is not trusted, in machines of its own (docs/sandboxes.md). */
export type { SandboxEnd } from '../sandbox/box.ts';
export type { Input } from '../sandbox/collect.ts';
export { ExecResult } from '../sandbox/collect.ts';
export { Command, type CommandEnd } from '../sandbox/command.ts';
export type { ExposedPort, ExposeOptions } from '../sandbox/expose.ts';
export type { FileInfo, FileOptions, Files, WriteOptions } from '../sandbox/files.ts';
export type { SandboxNetwork, SandboxOptions, SandboxVolume } from '../sandbox/options.ts';
export { type CommandOptions, type ConnectOptions, type ExecOptions, type ExecStreamOptions, Sandbox, type Waiting } from '../sandbox/sandbox.ts';
export type { Secrets } from '../sandbox/secrets.ts';
export type { Watch, WatchEvent } from '../sandbox/watch.ts';
export type { Stats } from '../owner/protocol.ts';
