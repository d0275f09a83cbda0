/** An image as large as wanted, of the host's own programs and libraries, in a registry on loopback. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip } from 'node:zlib';

const TREES = ['/usr/lib', '/usr/bin', '/usr/share', '/usr/include', '/usr/local'];
const MEDIA = 'application/vnd.oci.image';

/** Files below the trees, in the order of their names. */
function* filesBelow(folder: string): Generator<{ path: string; size: number }> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile() && lstatSync(path).nlink === 1) yield { path, size: lstatSync(path).size };
  }
}

/** Lists of files, each of about so many bytes. Throws where the host has too few. */
function shares(count: number, bytes: number): string[][] {
  const lists: string[][] = [[]];
  let left = bytes;
  for (const { path, size } of TREES.flatMap((tree) => [...filesBelow(tree)])) {
    if (left <= 0) {
      if (lists.length === count) return lists;
      lists.push([]);
      left = bytes;
    }
    // What is larger than a layer's rest would make layers unlike.
    if (size > left + (bytes >> 3)) continue;
    lists.at(-1)?.push(path);
    left -= size + 512;
  }
  if (lists.length < count) throw new Error(`the host's ${TREES.join(', ')} have less than ${count} × ${bytes} bytes`);
  return lists;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest('hex')}`;
}

/** Writes an OCI layout with one image of `count` gzip layers. Returns the bytes of its layers, plain and packed. */
export async function writeImage(folder: string, count: number, bytes: number): Promise<{ plain: number; packed: number }> {
  const blobs = join(folder, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const made = { plain: 0, packed: 0 };
  const layers: unknown[] = [];
  const diffIds: string[] = [];
  const put = (mediaType: string, value: unknown): { mediaType: string; digest: string; size: number } => {
    const text = JSON.stringify(value);
    const hex = createHash('sha256').update(text).digest('hex');
    writeFileSync(join(blobs, hex), text);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(text) };
  };
  for (const list of shares(count, bytes)) {
    const [tar, gzip, names] = ['layer.tar', 'layer.gz', 'names'].map((name) => join(folder, name)) as [string, string, string];
    writeFileSync(names, list.map((path) => `${path.slice(1)}\0`).join(''));
    execFileSync('tar', ['-C', '/', '--null', '--numeric-owner', '-T', names, '-cf', tar]);
    await pipeline(createReadStream(tar), createGzip(), createWriteStream(gzip));
    const digest = await sha256(gzip);
    diffIds.push(await sha256(tar));
    made.plain += statSync(tar).size;
    const { size } = statSync(gzip);
    made.packed += size;
    execFileSync('mv', [gzip, join(blobs, digest.slice(7))]);
    execFileSync('rm', [tar, names]);
    layers.push({ mediaType: `${MEDIA}.layer.v1.tar+gzip`, digest, size });
  }
  const config = put(`${MEDIA}.config.v1+json`, { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds } });
  const manifest = put(`${MEDIA}.manifest.v1+json`, { schemaVersion: 2, mediaType: `${MEDIA}.manifest.v1+json`, config, layers });
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  return made;
}

/** Debian's docker-registry on a loopback port, with what it keeps in `folder`. It ends with this process. */
export async function startRegistry(folder: string): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  mkdirSync(join(folder, 'data'), { recursive: true });
  writeFileSync(join(folder, 'config.yml'), `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${join(folder, 'data')}}}\nhttp: {addr: "127.0.0.1:${port}"}\n`);
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  // It keeps nobody from ending.
  child.unref();
  process.on('exit', () => child.kill('SIGKILL'));
  for (let tries = 0; tries < 300; tries++) {
    if (await fetch(`http://127.0.0.1:${port}/v2/`).then(({ ok }) => ok, () => false)) return port;
    await sleep(100);
  }
  throw new Error('docker-registry does not answer');
}
