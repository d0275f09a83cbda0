// `npm run setup`: everything `npx vmm` needs: packages, dist/, the guest's kernel and init. Safe to run again; a second run does nothing.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache, fail, root, run, say, step } from './lib.mjs';

export async function setup() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  step('npm', createHash('sha256').update(lock).digest('hex'), [join(root, 'node_modules', 'koffi')], () => {
    say('installing npm packages');
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  });
  const { build } = await import('./build.mjs');
  build();
  await unpackGuest();
}

/** Unpacks guest-kernel/artifacts/*.zst into .cache/guest/, checked against the manifests. */
async function unpackGuest() {
  const from = join(root, 'guest-kernel', 'artifacts');
  const to = join(cache, 'guest');
  for (const manifest of ['manifest.json', 'manifest-init.json']) {
    const path = join(from, manifest);
    if (!existsSync(path)) continue;
    const text = readFileSync(path, 'utf8');
    const { unpack } = JSON.parse(text);
    const names = Object.keys(unpack);
    const { decompress } = await import(pathToFileURL(join(root, 'node_modules', 'fzstd', 'esm', 'index.mjs')).href);
    step(`guest-${manifest}`, text, names.map((name) => join(to, name)), () => {
      mkdirSync(to, { recursive: true });
      for (const name of names) {
        const { source, sha256 } = unpack[name];
        let bytes = readFileSync(join(from, source));
        if (source.endsWith('.zst')) bytes = decompress(bytes);
        const got = createHash('sha256').update(bytes).digest('hex');
        if (got !== sha256) fail(`guest-kernel/artifacts/${source}: sha256 of the unpacked file is ${got}, the manifest says ${sha256}`);
        writeFileSync(join(to, `${name}.tmp`), bytes);
        renameSync(join(to, `${name}.tmp`), join(to, name));
      }
    });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await setup();
