// mkinitramfs.mjs INIT SEEDS_DIRECTORY OUTPUT_DIRECTORY SOURCES_SHA256: writes initramfs.cpio and manifest-init.json.
// The format is "newc" of Linux's Documentation/driver-api/early-userspace/buffer-format.rst.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [initPath, seedFolder, output, sources] = process.argv.slice(2);
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFCHR = 0o020000;

const parts = [];
let length = 0;
let inode = 1;

function pad() {
  const rest = (4 - (length % 4)) % 4;
  parts.push(Buffer.alloc(rest));
  length += rest;
}

function entry(name, mode, data = Buffer.alloc(0), [major, minor] = [0, 0]) {
  const nameBytes = Buffer.from(`${name}\0`);
  const isTrailer = name === 'TRAILER!!!';
  const fields = [
    isTrailer ? 0 : inode++, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, nameBytes.length, 0,
  ];
  const header = '070701' + fields.map((value) => value.toString(16).padStart(8, '0')).join('');
  for (const part of [Buffer.from(header), nameBytes]) {
    parts.push(part);
    length += part.length;
  }
  pad();
  parts.push(data);
  length += data.length;
  pad();
}

const init = readFileSync(initPath);
for (const directory of ['dev', 'proc', 'run', 'sys']) entry(directory, S_IFDIR | 0o755);
// The kernel opens it for init's first three descriptors, before anything is mounted.
entry('dev/console', S_IFCHR | 0o600, undefined, [5, 1]);
entry('init', S_IFREG | 0o555, init);
entry('TRAILER!!!', 0);

const cpio = Buffer.concat(parts);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const file = (bytes) => ({ size: bytes.length, sha256: sha256(bytes) });
const seeds = readdirSync(seedFolder).filter((name) => name.endsWith('.seed')).sort();
const digests = (names, folder) => Object.fromEntries(names.map((name) => [name, file(readFileSync(join(folder, name)))]));
const manifest = {
  sources: { sha256: sources },
  files: { 'initramfs.cpio': file(cpio), ...digests(seeds.map((name) => `${name}.zst`), output) },
  unpacked: { init: file(init), ...digests(seeds, seedFolder) },
};
writeFileSync(join(output, 'initramfs.cpio'), cpio);
writeFileSync(join(output, 'manifest-init.json'), `${JSON.stringify(manifest, null, 2)}\n`);
