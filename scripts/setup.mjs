// `npm run setup`: everything `npx vmm` needs: packages, dist/, the guest's kernel and init. Safe to run again; a second run does nothing.
// Any Node from 20 on starts it; what follows the packages' installation is done by the one among them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { continueWithOwnNode, ownNode, root, run, say, step } from './lib.mjs';

export async function setup() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  step('npm', createHash('sha256').update(lock).digest('hex'), [join(root, 'node_modules', 'koffi'), ownNode], () => {
    say('installing npm packages');
    run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
  });
  continueWithOwnNode();
  const { build } = await import('./build.mjs');
  await build();
  linkForNpx();
}

/** npx's first run of a checkout's own command complains about a Node that is too old, although the command gets `ownNode`: that run is here. */
function linkForNpx() {
  step('npx', root, [], () => spawnSync('npx', ['vmm', 'version'], { cwd: root, stdio: 'ignore' }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await setup();
