// `npm test [-- FILTER…]`: sets everything up, then runs all tests. `npm run test:long` adds test/long.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cache, hashFiles, needDebian, root, run, say, step } from './lib.mjs';
import { setup } from './setup.mjs';

const args = process.argv.slice(2);
const long = args.includes('--long');
const filters = args.filter((arg) => arg !== '--long');

await setup();
needDebian({
  gcc: '/usr/bin/gcc',
  'libc6-dev': '/usr/include/stdio.h',
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
  'busybox-static': '/bin/busybox',
  e2fsprogs: '/sbin/mke2fs',
  'erofs-utils': '/usr/bin/mkfs.erofs',
  'xz-utils': '/usr/bin/xz',
  bzip2: '/usr/bin/bzip2',
  gnupg: '/usr/bin/gpg',
  zstd: '/usr/bin/zstd',
  skopeo: '/usr/bin/skopeo',
  'libcap2-bin': '/sbin/setcap',
  buildah: '/usr/bin/buildah',
  umoci: '/usr/bin/umoci',
  'docker-registry': '/usr/bin/docker-registry',
  'docker.io': '/usr/bin/docker',
  notary: '/usr/bin/notary-server',
  curl: '/usr/bin/curl',
  'apache2-utils': '/usr/bin/htpasswd',
  openssl: '/usr/bin/openssl',
  iproute2: '/usr/sbin/ip',
  passt: '/usr/bin/passt',
  strace: '/usr/bin/strace',
  kmod: '/sbin/insmod',
  'libzydis-dev': '/usr/include/Zydis/Zydis.h',
  'libmpfr-dev': '/usr/include/mpfr.h',
  gdb: '/usr/bin/gdb',
  fish: '/usr/bin/fish',
  'groff-base': '/usr/bin/groff',
  zsh: '/usr/bin/zsh',
  'musl-tools': '/usr/bin/musl-gcc',
  'acpica-tools': '/usr/bin/iasl',
  'linux-libc-dev': '/usr/include/linux/kvm.h',
  chromium: '/usr/bin/chromium',
  ...(long
    ? {
        bochs: '/usr/bin/bochs',
        bochsbios: '/usr/share/bochs/BIOS-bochs-latest',
        vgabios: '/usr/share/bochs/VGABIOS-lgpl-latest',
        isolinux: '/usr/lib/ISOLINUX/isolinux.bin',
        'syslinux-common': '/usr/lib/syslinux/modules/bios/ldlinux.c32',
        xorriso: '/usr/bin/xorriso',
        'python3-unicorn': '/usr/lib/python3/dist-packages/unicorn',
      }
    : {}),
});

testNodes();

const env = { ...process.env, VMM_LONG: long ? '1' : '' };
for (const name of Object.keys(env)) if (name.startsWith('NODE_')) delete env[name];
const result = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'test/vitest.config.mjs', ...filters], {
  cwd: root,
  stdio: 'inherit',
  env,
});
process.exit(result.status ?? 1);

/** The versions of Node that the package is tested with (test/package/nodes), in .cache/test-nodes. */
function testNodes() {
  const from = join(root, 'test', 'package', 'nodes');
  const to = join(cache, 'test-nodes');
  const files = ['package.json', 'package-lock.json'].map((name) => join(from, name));
  step('test-nodes', hashFiles(files), [join(to, 'node_modules', 'node-newest')], () => {
    say('installing the versions of Node that the package is tested with');
    mkdirSync(to, { recursive: true });
    for (const path of files) copyFileSync(path, join(to, basename(path)));
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--no-bin-links'], { cwd: to });
  });
}
