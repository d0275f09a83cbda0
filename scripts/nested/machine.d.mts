import type { Writable } from 'node:stream';

export interface NestedOptions {
  cpus?: number;
  memoryMib?: number;
  /** A bzImage for the nested machine itself. */
  kernel?: string;
  /** Host files to bring along, at the same path or another. */
  take?: readonly (string | { host: string; guest: string })[];
  /** Keep the state after boot and start from it (default true). */
  snapshot?: boolean;
  /** `multi`: QEMU with a thread per CPU, which may hang; for measuring (default `single`). */
  threads?: 'single' | 'multi';
}

export interface JobOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  timeoutMs?: number;
  /** The script reads `NestedMachine.stdin`; else it has no input. */
  stdin?: boolean;
  onStdout?(data: Buffer): void;
  onStderr?(data: Buffer): void;
}

export interface JobResult {
  status: number;
  stdout: string;
  stderr: string;
  stdoutBytes: Buffer;
  stderrBytes: Buffer;
}

export class NestedError extends Error {}

export class NestedMachine implements AsyncDisposable {
  static boot(options?: NestedOptions): Promise<NestedMachine>;
  run(script: string, options?: JobOptions): Promise<JobResult>;
  get stdin(): Writable;
  consoleTail(): string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
