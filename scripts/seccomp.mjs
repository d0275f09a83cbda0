// Writes vmm/seccomp/generated/default.ts: the filter of Docker's profile for Docker's default capabilities, compiled, so that
// a plain `vmm run` compiles nothing. test/unit/seccomp/compile.test.ts compares. Usage: node scripts/seccomp.mjs
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, run } from './lib.mjs';

const LINE = 150;
const directory = mkdtempSync(join(tmpdir(), 'vmm-seccomp-'));
try {
  const bundle = join(directory, 'filter.mjs');
  run(join(root, 'node_modules/.bin/esbuild'), [join(root, 'vmm/seccomp/filter.ts'), '--bundle', '--platform=node', '--format=esm', `--outfile=${bundle}`, '--log-level=warning']);
  const { compileDefault, DOCKER_CAPABILITIES } = await import(pathToFileURL(bundle).href);
  const text = Buffer.from(compileDefault(DOCKER_CAPABILITIES)).toString('base64');
  const lines = text.match(new RegExp(`.{1,${LINE}}`, 'g')).map((line) => `  '${line}'`).join(' +\n');
  writeFileSync(join(root, 'vmm/seccomp/generated/default.ts'), `// Made by scripts/seccomp.mjs from vmm/seccomp/docker.ts; do not edit.

/** struct sock_filter[], base64. */
export const DEFAULT_FILTER =
${lines};
`);
} finally {
  rmSync(directory, { recursive: true });
}
