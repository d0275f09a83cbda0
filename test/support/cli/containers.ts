/** Containers of a test file: a busybox image, and a state directory of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busyboxImage } from '../guests/busybox-image.ts';
import { type CliResult, vmm } from './cli.ts';

export interface Containers {
  readonly image: string;
  readonly root: string;
  /** A command about these containers alone. */
  cli(command: string, ...rest: string[]): Promise<CliResult>;
  /** Removes them, those that run too. */
  close(): Promise<void>;
}

export function ownContainers(name: string): Containers {
  const image = busyboxImage();
  const root = mkdtempSync(join(tmpdir(), `vmm-${name}-`));
  const cli: Containers['cli'] = (command, ...rest) => vmm(command === 'device' ? [command, rest[0] ?? '', '--root', root, ...rest.slice(1)] : [command, '--root', root, ...rest]);
  const close = async (): Promise<void> => {
    const { stdout } = await cli('ps', '-aq');
    const ids = stdout.toString().split('\n').filter((id) => id !== '');
    if (ids.length > 0) await cli('rm', '-f', ...ids);
    for (const folder of [image, root]) rmSync(folder, { recursive: true });
  };
  return { image, root, cli, close };
}
