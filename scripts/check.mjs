// `npm run check`: types, lint, import directions, artifacts, and rules that a grep can hold.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { filesBelow, root } from './lib.mjs';

let failures = 0;
const report = (message) => {
  failures += 1;
  process.stdout.write(`${message}\n`);
};
const tool = (label, command, args) => {
  const result = spawnSync(join(root, 'node_modules', '.bin', command), args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) report(`check: ${label} failed`);
};

tool('types (tsc)', 'tsc', ['-p', '.']);
tool('lint (biome)', 'biome', ['lint', '--error-on-warnings', 'vmm', 'image', 'scripts', 'test', 'bench', 'bin'].filter((p) => !/^[a-z]+$/.test(p) || p === 'lint' || existsSync(join(root, p))));

const artifacts = spawnSync(process.execPath, [join(root, 'guest-kernel', 'check.mjs')], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
if (artifacts.status !== 0) report('check: guest artifacts do not match their sources');

// Imports go one way. Key: top-level area; value: what it may import beside itself.
const MAY_IMPORT = {
  assembly: [],
  vmm: ['image', 'assembly/core/layout.ts'],
  image: ['vmm/errors.ts', 'vmm/host'],
  stage1: ['vmm/api', 'image'],
  oci: ['vmm/api', 'image'],
  bench: ['vmm/api', 'image', 'assembly/core/layout.ts'],
};
// Within vmm/, folder by folder (ARCHITECTURE.md): accel, devices and machine are one layer.
const VMM_MAY_IMPORT = {
  host: [],
  boot: [],
  agent: [],
  kvm: ['host', 'boot', 'machine'],
  accel: ['host', 'kvm', 'boot', 'devices', 'machine'],
  devices: ['host', 'accel', 'agent', 'machine'],
  machine: ['host', 'kvm', 'boot', 'accel', 'devices'],
  gdb: ['accel', 'machine'],
  container: ['boot', 'agent', 'machine'],
  api: ['agent', 'devices', 'container', 'machine'],
  cli: ['host', 'boot', 'devices', 'machine', 'container', 'gdb'],
};
for (const [area, allowed] of Object.entries(MAY_IMPORT)) {
  for (const path of filesBelow(area, (name) => name.endsWith('.ts'))) {
    const text = readFileSync(path, 'utf8');
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      const spec = match[1];
      const here = relative(root, path);
      if (/^(koffi|@koromix\/)/.test(spec) && !here.startsWith('vmm/host/')) report(`${here}: only vmm/host may import the FFI library`);
      if (!spec.startsWith('.')) continue;
      const target = relative(root, resolve(dirname(path), spec));
      const [from, to] = [here, target].map((name) => /^vmm\/([^/]+)\//.exec(name)?.[1]);
      if (from !== undefined && to !== undefined && from !== to && !VMM_MAY_IMPORT[from]?.includes(to)) report(`${here}: vmm/${from} may not import vmm/${to}`);
      if (target.split('/')[0] === area || allowed.some((prefix) => target === prefix || target.startsWith(`${prefix}/`))) continue;
      report(`${here}: ${area} may not import ${target}`);
    }
  }
}

const tracked = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).stdout.split('\0').filter(Boolean);
for (const name of tracked) {
  const path = join(root, name);
  if (!existsSync(path)) continue;
  if (statSync(path).size > 10 * 1024 * 1024) report(`${name}: over 10 MB`);
}
if (/"resolved"/.test(readFileSync(join(root, 'package-lock.json'), 'utf8'))) report('package-lock.json: names a registry host ("resolved")');

process.stdout.write(failures === 0 ? 'check: all good\n' : `check: ${failures} finding(s)\n`);
process.exit(failures === 0 ? 0 : 1);
