// `npm run build`: dist/ from the sources: the WebAssembly core by asc, the CLI, workers and library by esbuild.
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { buildCore } from './build-core.mjs';
import { filesBelow, hashFiles, root, run, say, step } from './lib.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);

/** Entry points of dist/: the CLI, the workers it starts, the library. Shared code is split into chunks. */
const ENTRIES = {
  cli: 'vmm/cli/main.ts',
  vmm: 'vmm/api/index.ts',
  'vcpu-worker': 'vmm/accel/vcpu-worker.ts',
  'kvm-vcpu-worker': 'vmm/accel/kvm-vcpu-worker.ts',
  'io-worker': 'vmm/devices/io-worker.ts',
};

export function build() {
  buildCore();
  const sources = ['vmm', 'image', 'stage1', 'oci', 'bench'].flatMap((dir) => filesBelow(dir, (name) => name.endsWith('.ts')));
  sources.push(join(root, 'assembly/core/layout.ts'), join(root, 'scripts/build.mjs'), join(root, 'package-lock.json'));
  step('dist', hashFiles(sources), [join(root, 'dist', 'cli.js')], () => {
    say('building dist/');
    const entries = Object.entries(ENTRIES).filter(([, path]) => existsSync(join(root, path))).map(([name, path]) => `${name}=${path}`);
    run(bin('esbuild'), [
      ...entries, '--bundle', '--splitting', '--format=esm', '--platform=node', '--target=node20', '--outdir=dist', '--sourcemap',
      '--external:koffi', '--external:@koromix/*', '--chunk-names=chunk-[hash]', '--log-level=warning',
      "--banner:js=import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    ]);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) build();
