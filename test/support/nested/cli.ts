/** The built CLI where KVM is (test/support/nested/machine.ts): what test/support/cli/cli.ts is for runs on this machine. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { shellQuote } from '../../../scripts/nested/image.mjs';
import type { CliResult } from '../cli/cli.ts';
import { root } from '../guests/programs.ts';
import { type KvmPlace, kvmPlace } from './machine.ts';
import { HANG_MS } from '../limits.ts';


export class KvmCli {
  readonly place: KvmPlace;
  /** Of this machine; its content has the same place there. */
  readonly #dir: string;

  private constructor(place: KvmPlace, dir: string) {
    this.place = place;
    this.#dir = dir;
  }

  /** `dir`: what all runs need; it is taken along as it is now. */
  static async start(dir: string): Promise<KvmCli> {
    return new KvmCli(await kvmPlace({ take: [dir] }), dir);
  }

  /** Runs the CLI; `after` is a shell command that runs then, its output follows the CLI's. */
  async vmm(args: readonly string[], { stdin, after }: { stdin?: string | undefined; after?: string } = {}): Promise<CliResult> {
    const command = ['node', join(root, 'bin', 'vmm.js'), ...args].map(shellQuote).join(' ');
    const input = stdin === undefined ? '' : `printf %s ${shellQuote(stdin)} | `;
    const script = `export VMM_STORE=${shellQuote(join(this.#dir, 'store'))}\n${input}${command}\nstatus=$?\n${after ?? ''}\nexit $status`;
    const { status, stdoutBytes, stderr } = await this.place.run(script, { timeoutMs: HANG_MS });
    return { status, signal: null, stdout: stdoutBytes, stderr };
  }

  close(): Promise<void> {
    return this.place.close();
  }
}

/** Puts Debian's gdb with its libraries and its Python into `dir`; returns the shell words that start it from there. */
export function takeGdb(dir: string): string {
  for (const name of ['bin', 'lib', 'share']) mkdirSync(join(dir, name), { recursive: true });
  copyFileSync('/usr/bin/gdb', join(dir, 'bin', 'gdb'));
  const libraries = [...execFileSync('ldd', ['/usr/bin/gdb'], { encoding: 'utf8' }).matchAll(/=> (\/\S+) \(0x/g)].map((match) => match[1] as string);
  for (const library of libraries) copyFileSync(library, join(dir, 'lib', basename(library)));
  const version = libraries.map((library) => /libpython(3\.\d+)/.exec(library)?.[1]).find((found) => found !== undefined);
  execFileSync('cp', ['-a', '/usr/share/gdb', join(dir, 'share')]);
  if (version !== undefined && existsSync(`/usr/lib/python${version}`)) execFileSync('cp', ['-a', `/usr/lib/python${version}`, join(dir, 'lib')]);
  writeFileSync(join(dir, 'gdb'), `#!/bin/sh\nLD_LIBRARY_PATH=${dir}/lib PYTHONHOME=${dir} exec ${dir}/bin/gdb --data-directory=${dir}/share/gdb "$@"\n`, { mode: 0o755 });
  return `${shellQuote(join(dir, 'gdb'))} -nx -batch`;
}
