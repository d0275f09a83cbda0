/** Accesses of ports and device registers in one start: on KVM each is an exit to user space, but for what the kernel takes itself. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';

export interface Exits {
  readonly ports: number;
  readonly registers: number;
}

/** Of the library, in virtual time. */
const PROGRAM = `(async ([library, file, memory, image, ...command]) => {
  const { ContainerRun, hostFs, openTrace, resolveImage, traceMask } = await import(library);
  const options = { memoryMib: Number(memory), accel: 'wasm', counted: { shift: 0, seed: 0n, rtc: 0 }, trace: { mask: traceMask('pio,mmio'), file: openTrace(file) } };
  const run = new ContainerRun(await resolveImage(image, { host: hostFs }), { command }, options, { stdout: () => {}, stderr: () => {} });
  const result = await run.run();
  if (result.kind !== 'exited' || result.status.status !== 0) throw new Error('the container ended otherwise: ' + result.kind);
})(process.argv.slice(1));`;

export interface Traced {
  /** dist/vmm.js. */
  readonly library: string;
  /** Where the trace goes; it is removed. */
  readonly file: string;
  readonly memoryMib: number;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly limitMs: number;
}

/** Throws when the container does not end well. */
export function exitsOf({ library, file, memoryMib, image, command, env, limitMs }: Traced): Exits {
  const { status, stderr } = spawnSync(process.execPath, ['-e', PROGRAM, library, file, `${memoryMib}`, image, ...command], { env: env as NodeJS.ProcessEnv, encoding: 'utf8', timeout: limitMs, killSignal: 'SIGKILL' });
  if (status !== 0) throw new Error(`the traced run ends with ${status}: ${stderr}`);
  const kinds = readFileSync(file, 'latin1').split('\n').map((line) => line.split(' ')[2]);
  rmSync(file);
  return { ports: kinds.filter((kind) => kind === 'pio').length, registers: kinds.filter((kind) => kind === 'mmio').length };
}
