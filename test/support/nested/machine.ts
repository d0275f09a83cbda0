/**
 * Tests that need a real KVM: on this machine where it has hardware virtualization, else in the nested machine (a Debian
 * kernel with kvm_amd under QEMU's TCG). They are never skipped.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildSync } from 'esbuild';
import { buildCore } from '../../../scripts/build-core.mjs';
import { NestedMachine } from '../../../scripts/nested/machine.mjs';
import type { JobOptions, JobResult, NestedOptions } from '../../../scripts/nested/types.ts';
import { root } from '../guests/programs.ts';

/** Where jobs run: both kinds behave the same to a test. */
export interface KvmPlace {
  readonly nested: boolean;
  /** Runs a shell script in the checkout's directory. */
  run(script: string, options?: JobOptions): Promise<JobResult>;
  close(): Promise<void>;
}

/** /dev/kvm is there, hardware or not. */
export function hasKvm(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function hasHardwareKvm(): boolean {
  return hasKvm() && (existsSync('/sys/module/kvm_intel') || existsSync('/sys/module/kvm_amd'));
}

/** A place with KVM. One boot of the nested machine, if it is that, serves many jobs. */
export async function kvmPlace(options: NestedOptions = {}): Promise<KvmPlace> {
  if (hasHardwareKvm()) return { nested: false, run: runHere, close: async () => {} };
  const machine = await NestedMachine.boot(options);
  return { nested: true, run: (script, job) => machine.run(script, job), close: () => machine.close() };
}

function runHere(script: string, { cwd = root, env = {}, timeoutMs = 300_000, onStdout, onStderr }: JobOptions = {}): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', script], { cwd, env: { ...process.env, VMM_ROOT: root, ...env }, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', onStdout ?? ((data: Buffer) => out.push(data)));
    child.stderr.on('data', onStderr ?? ((data: Buffer) => err.push(data)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === null) {
        reject(new Error(`the job was ended by ${signal}`));
        return;
      }
      const stdoutBytes = Buffer.concat(out);
      const stderrBytes = Buffer.concat(err);
      resolve({ status: code, stdout: stdoutBytes.toString(), stderr: stderrBytes.toString(), stdoutBytes, stderrBytes });
    });
  });
}

/**
 * Bundles a TypeScript program of the tests beside the threads' code and core.wasm, and
 * returns the program's path. The nested machine has it at the same place: call this before `kvmPlace`. Files that run at the
 * same time give it `name`s of their own.
 */
export function bundleProgram(source: string, name = basename(source).replace(/\.ts$/, '')): string {
  const dir = join(root, '.cache', 'test-dist', name);
  buildCore();
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  buildSync({
    entryPoints: {
      main: source,
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    outdir: dir,
    external: ['koffi', '@koromix/*'],
    logLevel: 'error',
  });
  for (const name of ['core.wasm', 'core-kvm.wasm', 'thread.cjs', 'thread-jobs.cjs']) copyFileSync(join(root, 'dist', name), join(dir, name));
  return join(dir, 'main.js');
}
