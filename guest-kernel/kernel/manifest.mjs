// Writes manifest.json: what the artifacts are and what they were made from.
// Usage: node manifest.mjs OUT VMLINUX SYSTEM.MAP PACKAGE VERSION
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inputs, sha256 } from './inputs.mjs';

const [out, vmlinux, map, name, version] = process.argv.slice(2);
const describe = (path) => ({ size: statSync(path).size, sha256: sha256(readFileSync(path)) });
const packageVersion = (tool) => execFileSync('dpkg-query', ['-W', '-f', '${Version}', tool], { encoding: 'utf8' });

const manifest = {
  source: { package: name, version, sha256: sha256(readFileSync(`/usr/src/${name}.tar.xz`)) },
  tools: Object.fromEntries(['gcc-12', 'binutils', 'zstd'].map((tool) => [tool, packageVersion(tool)])),
  inputs: inputs(),
  files: Object.fromEntries(['vmlinux.zst', 'System.map.zst', 'kernel.config', 'COPYING'].map((file) => [file, describe(join(out, file))])),
  unpack: {
    vmlinux: { source: 'vmlinux.zst', ...describe(vmlinux) },
    'System.map': { source: 'System.map.zst', ...describe(map) },
  },
};
writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
