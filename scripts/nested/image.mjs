// The nested machine's parts, made once into .cache/nested: kernel and initramfs of Debian's cloud kernel, a root disk
// with busybox, Node, QEMU and tools. And, for each run, a disk with the project's built files.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync, copyFileSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync,
  rmSync, statSync, symlinkSync, truncateSync, writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cache, fail, needDebian, root, run, say, step } from '../lib.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const at = join(cache, 'nested');
/** The project disk has one size, so that a snapshot taken with an empty one fits every later one (sparse file). */
export const DISK_BYTES = 4 * 2 ** 30;

/** Loaded by the initramfs in this order; each needs the ones before it. */
const MODULES = [
  'virtio_ring', 'virtio', 'virtio_mmio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk',
  'virtio_console', 'overlay', 'irqbypass', 'kvm',
];
/** The rest is loaded where it fits: the processor's vendor, disks without virtio (Bochs). */
const VENDOR_MODULES = ['kvm-amd', 'kvm-intel'];
const ATA_MODULES = ['scsi_common', 'scsi_mod', 'libata', 'ata_piix', 'sd_mod'];
/** Copied into the root with their libraries; those marked optional only where the host has them. */
const PROGRAMS = ['/usr/bin/qemu-system-x86_64', '/bin/bash'];
const OPTIONAL = [
  '/usr/bin/strace', '/sbin/e2fsck', '/sbin/mke2fs', '/usr/bin/fsck.erofs', '/usr/bin/mkfs.erofs', '/usr/bin/socat', '/sbin/debugfs', '/usr/bin/script',
];
const ROMS = [
  'qboot.rom', 'bios-microvm.bin', 'bios-256k.bin', 'pvh.bin', 'linuxboot_dma.bin', 'linuxboot.bin', 'multiboot.bin', 'multiboot_dma.bin',
  'kvmvapic.bin', 'vgabios-stdvga.bin', 'efi-virtio.rom',
];
/** What of the project goes along, relative to the checkout. */
const PROJECT = [
  'package.json', 'bin', 'dist', 'node_modules/koffi/package.json', 'node_modules/koffi/index.js', 'node_modules/koffi/index.cjs', 'node_modules/koffi/indirect.js',
  'node_modules/koffi/indirect.cjs', 'node_modules/koffi/src/koffi/index.js', 'node_modules/koffi/src/koffi/index.cjs', 'node_modules/koffi/lib',
  'node_modules/@koromix', '.cache/guest', '.cache/guests', '.cache/test-dist',
];
/** Host folders that the root disk has in its own version: arguments that name something below them are not taken along. */
const OWN = ['/bin', '/sbin', '/lib', '/lib64', '/usr', '/etc', '/dev', '/proc', '/sys', '/run'];

/** Makes whatever is missing and returns the paths. Safe to call from several processes: results appear by rename. */
export function prepare() {
  needDebian({
    'qemu-system-x86': '/usr/bin/qemu-system-x86_64', 'busybox-static': '/bin/busybox', e2fsprogs: '/sbin/mke2fs', kmod: '/sbin/depmod', strace: '/usr/bin/strace',
  });
  const kernel = prepareKernel();
  const initrd = prepareInitrd(kernel);
  const rootDisk = prepareRoot(kernel);
  return { kernel: kernel.vmlinuz, initrd, rootDisk };
}

function prepareKernel() {
  const stamp = join(at, 'kernel', 'version');
  if (!existsSync(stamp)) {
    const name = cloudKernelPackage();
    say(`nested machine: fetching ${name}`);
    const temp = `${join(at, 'kernel')}.${process.pid}`;
    rmSync(temp, { recursive: true, force: true });
    mkdirSync(join(temp, 'deb'), { recursive: true });
    run('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', 'download', name], { cwd: join(temp, 'deb') });
    const deb = readdirSync(join(temp, 'deb'))[0];
    run('dpkg', ['-x', join(temp, 'deb', deb), temp]);
    rmSync(join(temp, 'deb'), { recursive: true });
    writeFileSync(join(temp, 'version'), readdirSync(join(temp, 'lib', 'modules'))[0]);
    publish(temp, join(at, 'kernel'));
  }
  const version = readFileSync(stamp, 'utf8');
  return { version, dir: join(at, 'kernel'), vmlinuz: join(at, 'kernel', 'boot', `vmlinuz-${version}`), modules: join(at, 'kernel', 'lib', 'modules', version) };
}

function cloudKernelPackage() {
  const ask = () => spawnSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' }).stdout?.match(/linux-image-\S+-cloud-amd64/)?.[0];
  const name = ask();
  if (name) return name;
  run('apt-get', ['-qq', 'update']);
  return ask() ?? fail('nested machine: the package linux-image-cloud-amd64 is not known to apt');
}

function prepareInitrd(kernel) {
  const script = readFileSync(join(here, 'initramfs.sh'));
  const out = join(at, 'initramfs.cpio');
  step('nested-initramfs', hashOf([script, kernel.version, [MODULES, VENDOR_MODULES, ATA_MODULES].join()]), [out], () => {
    const dir = `${out}.${process.pid}.d`;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(join(dir, 'bin'), { recursive: true });
    mkdirSync(join(dir, 'modules'));
    copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
    writeFileSync(join(dir, 'init'), script, { mode: 0o755 });
    const index = readFileSync(join(kernel.modules, 'modules.builtin'), 'utf8');
    const loadable = (names) => names.filter((name) => !index.includes(`/${name}.ko`));
    for (const name of loadable([...MODULES, ...VENDOR_MODULES, ...ATA_MODULES])) copyFileSync(findModule(kernel.modules, name), join(dir, 'modules', `${name}.ko`));
    writeFileSync(join(dir, 'modules', 'order'), loadable(MODULES).join('\n'));
    writeFileSync(join(dir, 'modules', 'order-ata'), loadable(ATA_MODULES).join('\n'));
    run('sh', ['-c', `find . | /bin/busybox cpio -o -H newc > ${shellQuote(`${out}.${process.pid}`)}`], { cwd: dir });
    rmSync(dir, { recursive: true });
    renameSync(`${out}.${process.pid}`, out);
  });
  return out;
}

function findModule(dir, name) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory() && entry.name !== 'build' && entry.name !== 'source') {
      const found = findModule(path, name);
      if (found) return found;
    } else if (entry.name === `${name}.ko`) return path;
  }
  return undefined;
}

function prepareRoot(kernel) {
  const out = join(at, 'root.ext4');
  const agent = readFileSync(join(here, 'agent.sh'));
  const programs = [...PROGRAMS, ...OPTIONAL.filter((path) => existsSync(path)), process.execPath];
  const key = hashOf([agent, kernel.version, ...programs.map((path) => `${path} ${statSync(path).size} ${statSync(path).mtimeMs}`), readFileSync(fileURLToPath(import.meta.url))]);
  step('nested-root', key, [out], () => {
    say('nested machine: making its root disk');
    const dir = `${out}.${process.pid}.d`;
    rmSync(dir, { recursive: true, force: true });
    for (const name of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'proc', 'sys', 'dev', 'tmp', 'run', 'root', 'mnt', 'var/tmp', 'etc', 'usr/share/qemu']) mkdirSync(join(dir, name), { recursive: true });
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(dir, name));
    copyFileSync('/bin/busybox', join(dir, 'bin', 'busybox'));
    for (const applet of spawnSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).stdout.trim().split('\n')) {
      const path = join(dir, 'bin', applet);
      if (!existsSync(path)) symlinkSync('busybox', path);
    }
    for (const program of programs) {
      const target = program === process.execPath ? '/usr/bin/node' : program;
      rmSync(join(dir, target), { force: true });
      copyFileSync(program, join(dir, target));
      for (const library of libraries(program)) takeInto(dir, library);
    }
    symlinkSync('bash', join(dir, 'bin', 'rbash'));
    for (const rom of ROMS) {
      const from = [`/usr/share/qemu/${rom}`, `/usr/share/seabios/${rom}`].find((path) => existsSync(path));
      if (from) copyFileSync(realpathSync(from), join(dir, 'usr/share/qemu', rom));
    }
    cpSync(join(kernel.dir, 'lib', 'modules'), join(dir, 'usr', 'lib', 'modules'), { recursive: true });
    run('depmod', ['-b', join(dir, 'usr'), kernel.version]);
    for (const name of ['passwd', 'group', 'protocols', 'services']) if (existsSync(`/etc/${name}`)) copyFileSync(`/etc/${name}`, join(dir, 'etc', name));
    writeFileSync(join(dir, 'etc/hosts'), '127.0.0.1 localhost nested\n');
    writeFileSync(join(dir, 'sbin/agent'), agent, { mode: 0o755 });
    // `npx NAME` without npm: only names that the checkout has.
    writeFileSync(join(dir, 'bin/npx'), '#!/bin/sh\nname=$1; shift\n[ "$name" = vmm ] && exec node "$VMM_ROOT/bin/vmm.js" "$@"\nexec "$VMM_ROOT/node_modules/.bin/$name" "$@"\n', { mode: 0o755 });
    makeExt4(dir, `${out}.${process.pid}`, 2 ** 30, ['-O', '^has_journal', '-L', 'nested-root']);
    rmSync(dir, { recursive: true });
    renameSync(`${out}.${process.pid}`, out);
  });
  return out;
}

/** The shared objects that the loader would map for a program, its interpreter included. */
function libraries(program) {
  const text = spawnSync('ldd', [program], { encoding: 'utf8' }).stdout ?? '';
  return [...text.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]);
}

/** Copies a host file to the same path below `dir`. */
function takeInto(dir, path) {
  const target = join(dir, path);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(path, target);
  chmodSync(target, statSync(path).mode);
}

function makeExt4(dir, image, bytes, options = []) {
  writeFileSync(image, '');
  truncateSync(image, bytes);
  run('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0', '-m', '0', ...options, '-d', dir, image]);
}

/** An empty disk in the project disk's place, for the moment a snapshot is taken. */
export function makeEmptyDisk(image) {
  writeFileSync(image, '');
  truncateSync(image, DISK_BYTES);
}

/** A shell command inside: mounts a project disk, and what lies on it at its places (`makeProjectDisk`'s result). */
export function mountProject(disk, tops) {
  const binds = tops.map((path) => {
    const quoted = shellQuote(path);
    return `if [ -d /host${quoted} ]; then mkdir -p ${quoted}; else mkdir -p ${shellQuote(dirname(path))}; touch ${quoted}; fi; mount --bind /host${quoted} ${quoted}`;
  });
  return ['mkdir -p /host', `mount -t ext4 ${disk} /host`, ...binds].join(' && ');
}

/**
 * Makes the disk of one run: the built project and `take` (host paths, or {host, guest}), each at its absolute path. Returns the paths to mount.
 * Hard links keep it quick; the kernel inside writes to the image only.
 */
export function makeProjectDisk(image, take = []) {
  const dir = `${image}.d`;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const items = [...PROJECT.map((name) => join(root, name)).filter((path) => existsSync(path)), ...take];
  for (const item of items) {
    const [host, guest] = typeof item === 'string' ? [resolve(item), resolve(item)] : [resolve(item.host), item.guest];
    if (!isAbsolute(guest)) throw new Error(`nested machine: ${guest} is not an absolute path`);
    if (!existsSync(host)) throw new Error(`nested machine: ${host} does not exist`);
    linkTree(host, join(dir, guest));
  }
  makeExt4(dir, image, DISK_BYTES, ['-O', '^has_journal']);
  rmSync(dir, { recursive: true });
  const guests = take.map((item) => (typeof item === 'string' ? resolve(item) : item.guest));
  return [root, ...guests.filter((path) => !path.startsWith(`${root}/`))];
}

function linkTree(from, to) {
  if (existsSync(to) && !statSync(to).isDirectory()) return;
  mkdirSync(dirname(to), { recursive: true });
  // cp knows device nodes, ownership and links; -l falls back to a copy across file systems.
  for (const flags of ['-al', '-a']) {
    const source = lstatSync(from).isDirectory() ? `${from}/.` : from;
    if (spawnSync('cp', [flags, '--remove-destination', source, to], { stdio: 'ignore' }).status === 0) return;
  }
  throw new Error(`nested machine: cannot take ${from} along`);
}

/** Those of a command's words that name host files which the nested root would not have. */
export function pathsAmong(words, cwd = process.cwd()) {
  return words
    .filter((word) => /^(\/|\.\.?\/|\.$)/.test(word) && existsSync(resolve(cwd, word)))
    .map((word) => resolve(cwd, word))
    .filter((path) => path !== '/' && path !== root && !OWN.some((own) => path === own || path.startsWith(`${own}/`)));
}

export function shellQuote(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function publish(temp, final) {
  try {
    renameSync(temp, final);
  } catch (error) {
    if (!existsSync(final)) throw error;
    rmSync(temp, { recursive: true, force: true });
  }
}

export function hashOf(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

export const nestedDir = at;
