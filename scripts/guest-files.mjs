// The guest's kernel and init from their checked-in artifacts.
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cache, fail, root, stepAsync } from './lib.mjs';

/** What goes where: file of .cache/guest → {artifact, digest of what comes out}. */
export function guestFiles() {
  const artifacts = join(root, 'guest-kernel', 'artifacts');
  const kernel = JSON.parse(readFileSync(join(artifacts, 'manifest.json'), 'utf8'));
  const init = JSON.parse(readFileSync(join(artifacts, 'manifest-init.json'), 'utf8'));
  return {
    vmlinux: { source: 'vmlinux.zst', sha256: kernel.unpack.vmlinux.sha256 },
    'System.map': { source: 'System.map.zst', sha256: kernel.unpack['System.map'].sha256 },
    'initramfs.cpio': { source: 'initramfs.cpio', sha256: init.files['initramfs.cpio'].sha256 },
    ...Object.fromEntries(Object.keys(init.unpacked).filter((name) => name.endsWith('.seed')).map((name) => [name, { source: `${name}.zst`, sha256: init.unpacked[name].sha256 }])),
  };
}

/** Unpacks guest-kernel/artifacts into .cache/guest/, checked against the manifests. */
export async function unpackGuest() {
  const to = join(cache, 'guest');
  // Not before the right Node is there.
  const { zstdDecompressSync } = await import('node:zlib');
  const { writeSparse } = await import('../base/unpack.ts');
  for (const [name, { source, sha256 }] of Object.entries(guestFiles())) {
    const path = join(to, name);
    await stepAsync(`guest-${name}`, () => `${sha256} ${existsSync(path) ? statSync(path).mtimeMs : 'none'}`, [path], async () => {
      mkdirSync(to, { recursive: true });
      let bytes = readFileSync(join(root, 'guest-kernel', 'artifacts', source));
      if (source.endsWith('.zst')) {
        bytes = zstdDecompressSync(bytes);
      }
      const got = createHash('sha256').update(bytes).digest('hex');
      if (got !== sha256) fail(`guest-kernel/artifacts/${source}: sha256 of its content is ${got}, the manifest says ${sha256}`);
      const fd = openSync(`${path}.tmp`, 'w');
      writeSparse(fd, bytes);
      closeSync(fd);
      renameSync(`${path}.tmp`, path);
    });
  }
}
