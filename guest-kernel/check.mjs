// Do the kernel's artifacts belong to the sources beside them?
// Usage: node guest-kernel/check.mjs [--rebuild]
//   without: digests of artifacts and inputs against artifacts/manifest.json (milliseconds)
//   --rebuild: builds anew in an empty directory and compares the bytes (needs Debian 12 and about 12 CPU-minutes)
// Status 0: all as it should be; 1: a difference, one line each.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { here, inputs, sha256 } from './kernel/inputs.mjs';

const artifacts = join(here, '..', 'artifacts');
let findings = 0;
const report = (line) => {
  findings += 1;
  process.stdout.write(`${line}\n`);
};

const manifestPath = join(artifacts, 'manifest.json');
if (!existsSync(manifestPath)) {
  report('guest-kernel/artifacts/manifest.json is missing: run guest-kernel/kernel/build.sh');
} else {
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
  for (const [path, digest] of Object.entries(inputs())) {
    if (manifest.inputs[path] !== digest) report(`guest-kernel/kernel/${path}: changed since the kernel was built: run guest-kernel/kernel/build.sh`);
  }
  for (const [name, { sha256: digest }] of Object.entries(manifest.files)) {
    const path = join(artifacts, name);
    if (!existsSync(path)) report(`guest-kernel/artifacts/${name}: missing`);
    else if (sha256(readFileSync(path)) !== digest) report(`guest-kernel/artifacts/${name}: not the file of the manifest`);
  }
  if (process.argv.includes('--rebuild')) rebuild(manifest);
}
if (findings === 0) process.stdout.write('guest-kernel: artifacts and sources agree\n');
process.exit(findings === 0 ? 0 : 1);

function rebuild(manifest) {
  const work = mkdtempSync(join(tmpdir(), 'vmm-kernel-'));
  try {
    const out = join(work, 'out');
    const built = spawnSync(join(here, 'build.sh'), ['--work', join(work, 'a', 'different', 'depth'), '--out', out], { stdio: 'inherit' });
    if (built.status !== 0) return report(`rebuild: build.sh ended with ${built.status ?? built.signal}`);
    const again = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'));
    for (const key of ['source', 'tools']) {
      if (JSON.stringify(again[key]) !== JSON.stringify(manifest[key])) report(`rebuild: ${key}: ${JSON.stringify(manifest[key])} then, ${JSON.stringify(again[key])} now`);
    }
    for (const [name, { sha256: digest }] of Object.entries(manifest.files)) {
      if (again.files[name].sha256 !== digest) report(`rebuild: ${name}: other bytes`);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
