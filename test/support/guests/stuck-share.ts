/** A guest that reads from a directory of the host whose file system does not answer. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIN, ROOT } from '../cli/cli.ts';
import { busyboxImage } from './busybox-image.ts';

export interface Stuck {
  readonly vmm: ChildProcessWithoutNullStreams;
  /** What the guest and vmm have written. */
  output(): string;
  /** Resolves when `sign` is among it. */
  said(sign: RegExp): Promise<void>;
  end(): Promise<void>;
}

function saying(child: ChildProcessWithoutNullStreams): { text(): string; said(sign: RegExp): Promise<void> } {
  let text = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    for (const look of waiting) look();
  });
  return {
    text: () => text,
    said: (sign) => new Promise((resolve, reject) => {
      const look = (): void => {
        if (!sign.test(text)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      child.on('close', () => reject(new Error(`it ended: ${text}`)));
      look();
    }),
  };
}

/** Resolves when the host's file system has been asked, and does not answer. */
export async function stuckShare(): Promise<Stuck> {
  const root = busyboxImage();
  const dir = mkdtempSync(join(tmpdir(), 'vmm-hanging-'));
  mkdirSync(join(root, 'mnt'));
  writeFileSync(join(root, 'init'), '#!/bin/sh\nexport PATH=/bin\nmount -t virtiofs data /mnt && cat /mnt/slow\necho status $?\nsleep 1000\n');
  chmodSync(join(root, 'init'), 0o755);
  const hanging = spawn('python3', [join(import.meta.dirname, '../devices/hanging-fs.py'), dir]);
  const fs = saying(hanging);
  await fs.said(/mounted/);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_|VITEST)/.test(name)));
  const vmm = spawn(process.execPath, ['--', BIN, 'boot', '--accel', 'wasm', '--memory', '128', '--root-share', root, '--share', `data=${dir}`, '--append', 'quiet init=/init'], { cwd: ROOT, env });
  const { text, said } = saying(vmm);
  await fs.said(/reading/);
  return {
    vmm,
    output: text,
    said,
    end: async () => {
      vmm.kill('SIGKILL');
      const over = new Promise((resolve) => hanging.once('close', resolve));
      hanging.stdin.end();
      await over;
      for (const each of [root, dir]) rmSync(each, { recursive: true, force: true });
    },
  };
}
