/** What the nested machine takes and gives (machine.mjs). */

export interface Taken {
  readonly host: string;
  readonly guest: string;
}

export interface NestedOptions {
  cpus?: number;
  memoryMib?: number;
  /** A bzImage for the nested machine itself. */
  kernel?: string;
  /** Host files to bring along, at the same path or another. */
  take?: readonly (string | Taken)[];
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
