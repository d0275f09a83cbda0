// The linter over assembly/. AssemblyScript has decorators on functions, which biome takes for errors of syntax: it reads a copy
// where they are comments, line for line the same.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cache, filesBelow, root } from '../lib.mjs';

const copy = join(cache, 'lint');

export function lintAssembly(report) {
  rmSync(copy, { recursive: true, force: true });
  for (const path of filesBelow('assembly', (name) => name.endsWith('.ts'))) {
    if (path.includes('/generated/')) continue;
    const to = join(copy, relative(root, path));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, readFileSync(path, 'utf8').replace(/^(\s*)@(?=inline$|unmanaged$|external\()/gm, '$1// @'));
  }
  cpSync(join(root, 'biome.json'), join(copy, 'biome.json'));
  const biome = join(root, 'node_modules', '.bin', 'biome');
  const result = spawnSync(biome, ['lint', '--error-on-warnings', '--vcs-enabled=false', 'assembly'], { cwd: copy, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) report('check: lint of assembly/ failed');
}
