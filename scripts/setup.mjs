// `npm run setup`: everything `npx vmm` needs: packages, dist/, the guest's kernel and init. Safe to run again; a second run does nothing.
// Any Node from 20 on starts it; what follows the packages' installation is done by the one among them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache, continueWithOwnNode, fail, ownNode, root, run, say, step, stepAsync } from './lib.mjs';

export async function setup() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  step('npm', createHash('sha256').update(lock).digest('hex'), [join(root, 'node_modules', 'koffi'), ownNode], () => {
    say('installing npm packages');
    run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
  });
  continueWithOwnNode();
  const { build } = await import('./build.mjs');
  build();
  await unpackGuest();
  linkForNpx();
}

/** npx's first run of a checkout's own command complains about a Node that is too old, although the command gets `ownNode`: that run is here. */
function linkForNpx() {
  step('npx', root, [], () => spawnSync('npx', ['vmm', 'version'], { cwd: root, stdio: 'ignore' }));
}

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
async function unpackGuest() {
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

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await setup();
