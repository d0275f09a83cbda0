// npm runs this before `npm pack` (package.json, prepack): what the package has beside what set-up builds: types, the guest's compressed files,
// and licences. docs/decisions/0014-package.md.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { filesBelow, root, run } from './lib.mjs';
import { guestFiles } from './guest-files.mjs';
import { setup } from './setup.mjs';

await setup();
packTypes();
packGuest();
packLicences();
await packManual();

/** dist/types: declarations that vmm/api/index.d.ts reaches, with endings that every module resolution of TypeScript takes. */
function packTypes() {
  const out = join(root, 'dist', 'types');
  rmSync(out, { recursive: true, force: true });
  run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.types.json']);
  const needed = new Set();
  const visit = (path) => {
    if (needed.has(path)) return;
    needed.add(path);
    const text = readFileSync(path, 'utf8').replace(/((?:from|import\()\s*['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2');
    writeFileSync(path, text);
    for (const [, spec] of text.matchAll(/(?:from|import\()\s*['"](\.[^'"]*)\.js['"]/g)) visit(resolve(dirname(path), `${spec}.d.ts`));
  };
  visit(join(out, 'vmm', 'api', 'index.d.ts'));
  for (const path of filesBelow('dist/types')) if (!needed.has(path)) rmSync(path);
  removeEmpty(out);
}

function removeEmpty(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) if (entry.isDirectory()) removeEmpty(join(dir, entry.name));
  if (readdirSync(dir).length === 0) rmSync(dir, { recursive: true });
}

/** dist/guest: the artifacts as they are, a manifest of what comes out of them, and the licence and the configuration of the kernel. */
function packGuest() {
  const from = join(root, 'guest-kernel', 'artifacts');
  const to = join(root, 'dist', 'guest');
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const manifest = {};
  for (const [name, { source, sha256 }] of Object.entries(guestFiles())) {
    copyFileSync(join(from, source), join(to, source));
    manifest[name] = { source, sha256, size: statSync(join(root, '.cache', 'guest', name)).size };
  }
  for (const name of ['COPYING', 'kernel.config']) if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
  writeFileSync(join(to, 'manifest.json'), `${JSON.stringify(manifest, null, 1)}\n`);
}

/** dist/licenses: texts that THIRD-PARTY.md names and does not hold. */
function packLicences() {
  const to = join(root, 'dist', 'licenses');
  mkdirSync(to, { recursive: true });
  for (const name of ['LICENSE', 'NOTICE']) copyFileSync(join(root, 'node_modules', 'assemblyscript', name), join(to, `assemblyscript-${name}`));
  copyFileSync(join(root, 'node_modules', 'openpgp', 'LICENSE'), join(to, 'openpgp-LICENSE'));
  copyFileSync(join(root, 'node_modules', '@sigstore', 'protobuf-specs', 'LICENSE'), join(to, 'sigstore-LICENSE'));
}

/** dist/man/vmm.1. */
async function packManual() {
  const { manual } = await import('./manual.ts');
  mkdirSync(join(root, 'dist', 'man'), { recursive: true });
  writeFileSync(join(root, 'dist', 'man', 'vmm.1'), await manual());
}
