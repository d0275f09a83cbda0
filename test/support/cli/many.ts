/** Containers that come and go: each is started, used, stopped, removed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { busyboxImage } from '../guests/busybox-image.ts';
import { type CliResult, vmm } from './cli.ts';

export interface Many {
  /** One life of a container. */
  life(name: string): Promise<void>;
  /** What is there of what lives have used: files, sockets, processes of vmm about this folder. */
  left(): Record<string, readonly string[]>;
  close(): void;
}

export async function many(): Promise<Many> {
  const folder = mkdtempSync(join(tmpdir(), 'vmm-many-'));
  const image = busyboxImage();
  const root = join(folder, 'root');
  const env = { VMM_STORE: join(folder, 'store'), VMM_TMPDIR: folder, TMPDIR: folder };
  const cli = async (command: string, ...rest: string[]): Promise<CliResult> => {
    const result = await vmm([command, '--root', root, ...rest], { env });
    expect({ command, status: result.status, stderr: result.stderr }).toEqual({ command, status: 0, stderr: '' });
    return result;
  };
  // The image is in the store before anything is counted.
  await vmm(['image', 'import', '-q', image, 'many:1'], { env });
  const life = async (name: string): Promise<void> => {
    await cli('run', '-d', '--accel', 'wasm', '-m', '64m', '--network', 'none', '--name', name, 'many:1', 'sh', '-c', 'trap "exit 5" TERM; while :; do sleep 0.1; done');
    expect((await cli('exec', name, 'echo', 'there')).stdout.toString()).toBe('there\n');
    await cli('stop', '-t', '60', name);
    expect((await cli('wait', name)).stdout.toString()).toBe('5\n');
    await cli('rm', name);
  };
  const names = (path: string): string[] => readdirSync(path).sort();
  const left = (): Record<string, readonly string[]> => ({
    folder: names(folder),
    store: ['rootfs', 'volumes'].flatMap((each) => (names(join(folder, 'store')).includes(each) ? names(join(folder, 'store', each)) : [])),
    containers: names(join(root, 'containers')),
    names: names(join(root, 'names')),
    sockets: names(join(root, 'sockets')),
    listening: readFileSync('/proc/net/unix', 'utf8').split('\n').filter((line) => line.includes(root)),
    processes: processesAbout(folder),
  });
  return { life, left, close: () => [folder, image].forEach((each) => rmSync(each, { recursive: true })) };
}

/** Command lines that name a folder; a process that is ending has none any more. */
function processesAbout(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const line = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
      return line.includes(folder) ? [`${pid} ${line.replaceAll('\0', ' ')}`] : [];
    } catch {
      return [];
    }
  });
}

/** What is left once the owners, which have told their end, are gone. */
export async function leftAfter(of: Many): Promise<Record<string, readonly string[]>> {
  for (let tries = 0; of.left()['processes']?.length !== 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  return of.left();
}
