/** Debian's virtiofsd, with guest memory and rings by vhost-user; the same driver is on the other side. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventfd, eventfdSignal } from '../../vmm/host/sys.ts';
import { ROOT } from '../harness.ts';
import { folder } from '../start/process.ts';
import { benchMemory, RAM_BYTES } from './memory.ts';
import { Ring, RING_ENTRIES } from './ring.ts';
import type { FsServer } from './server.ts';

const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';
const RING_GPA = 0x1_0000;
let count = 0;

export const virtiofsdIsHere = (): boolean => existsSync(VIRTIOFSD);

export function virtiofsdVersion(): string {
  return /version ([\d.]+)/.exec(spawnSync(VIRTIOFSD, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 'unknown';
}

/** `options`: further ones of virtiofsd, which keeps a descriptor of each file that its guest knows. */
export async function virtiofsd(dir: string, options: readonly string[] = []): Promise<FsServer> {
  const { memory, memfd, address } = benchMemory();
  const path = join(folder, `virtiofsd${count++}.sock`);
  const server = spawn(VIRTIOFSD, ['-f', '--rlimit-nofile=0', `--socket-path=${path}`, '-o', `source=${dir}`, '-o', 'sandbox=chroot', '-o', 'cache=auto', '-o', 'log_level=err', ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
  const fds = [eventfd(), eventfd(), eventfd(), eventfd()];
  const kick = fds[2] as number;
  const ring = new Ring(memory.buffer, RING_GPA, () => eventfdSignal(kick));
  const hiprio = new Ring(memory.buffer, RING_GPA + 4096, () => {});
  const rings = [hiprio, ring].flatMap(({ desc, avail, used }) => [desc, avail, used].map(String));
  const frontEnd = spawn('python3', [join(ROOT, 'bench/fs/vhost_user.py'), path, `${address}`, `${RAM_BYTES}`, `${RING_ENTRIES}`, ...rings], { stdio: ['pipe', 'pipe', 'inherit', memfd, ...fds] });
  await new Promise<void>((resolve, reject) => {
    frontEnd.once('exit', (status) => reject(new Error(`vhost_user.py: ${status}`)));
    server.once('exit', (status) => reject(new Error(`virtiofsd: ${status}`)));
    frontEnd.stdout?.once('data', () => resolve());
  });
  return {
    memory,
    ring,
    stat: `/proc/${server.pid}/stat`,
    close: async () => {
      const ended = [frontEnd, server].map((child) => new Promise((resolve) => child.once('exit', resolve)));
      frontEnd.stdin?.end();
      server.kill();
      await Promise.all(ended);
      for (const fd of fds) closeSync(fd);
    },
  };
}
