import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { VmmError } from '../../base/errors.ts';
import { tarFromTree } from '../tar/writer.ts';
import { contentFromBytes, writeFully } from '../tree/content.ts';
import { type DirNode, makeDir, type NodeMeta } from '../tree/node.ts';

export interface WriteOptions {
  /** Replace what is there. */
  readonly overwrite: boolean;
  /** gzip, as actool does. */
  readonly compress: boolean;
}

/** What an ACI is made of. */
export interface AciParts {
  readonly manifest: Uint8Array;
  readonly rootfs: DirNode;
  /** Mode, owner and time of the manifest's member. */
  readonly manifestMeta?: NodeMeta;
}

const MANIFEST_META: NodeMeta = { mode: 0o644, uid: 0, gid: 0, mtimeSec: 0, mtimeNsec: 0, xattrs: undefined };

/**
 * Writes an ACI: the manifest, then rootfs with its names in byte order. Equal parts give equal bytes. The file appears whole or
 * not at all. Returns its image id. Throws IMAGE_WRITE, IMAGE_DIR_READ, IMAGE_SOURCE_CHANGED.
 */
export async function writeAci(parts: AciParts, out: string, options: WriteOptions): Promise<string> {
  if (!options.overwrite && existsSync(out)) throw exists(out);
  const temporary = join(dirname(out), `.${basename(out).slice(0, 200)}.${randomBytes(6).toString('hex')}.tmp`);
  let fd: number;
  try {
    fd = openSync(temporary, 'wx', 0o644);
  } catch (cause) {
    throw new VmmError('IMAGE_WRITE', `cannot write ${out}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the folder and its permissions' });
  }
  try {
    const id = await writeTo(parts, fd, out, options.compress);
    fsyncSync(fd);
    if (options.overwrite) renameSync(temporary, out);
    else linkSync(temporary, out);
    return id;
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? exists(out) : error;
  } finally {
    closeSync(fd);
    rmSync(temporary, { force: true });
  }
}

function exists(out: string): VmmError {
  return new VmmError('IMAGE_WRITE', `${out} is there already`, { hint: 'give --overwrite to replace it' });
}

async function writeTo({ manifest, rootfs, manifestMeta }: AciParts, fd: number, name: string, compress: boolean): Promise<string> {
  const top = makeDir();
  top.children.set('manifest', { type: 'file', ...(manifestMeta ?? MANIFEST_META), content: contentFromBytes(manifest) });
  top.children.set('rootfs', rootfs);
  const hash = createHash('sha512');
  let at = 0;
  const put = (chunk: Uint8Array): void => {
    writeFully(fd, chunk, at, name);
    at += chunk.length;
  };
  if (!compress) {
    for (const chunk of tarFromTree(top, { root: false })) {
      hash.update(chunk);
      put(chunk);
    }
  } else await gzipped(hashed(tarFromTree(top, { root: false }), hash), put);
  return `sha512-${hash.digest('hex')}`;
}

function* hashed(chunks: Iterable<Uint8Array>, hash: ReturnType<typeof createHash>): Generator<Uint8Array> {
  for (const chunk of chunks) {
    hash.update(chunk);
    // The compressor keeps it for a while, the writer uses its buffer again.
    yield Buffer.from(chunk);
  }
}

/** No time stands in the header that Node's zlib writes: equal input gives equal bytes. */
async function gzipped(chunks: Iterable<Uint8Array>, put: (chunk: Uint8Array) => void): Promise<void> {
  const gzip = createGzip();
  const fed = pipeline(Readable.from(chunks, { objectMode: false }), gzip);
  fed.catch(() => {});
  for await (const chunk of gzip) put(chunk as Uint8Array);
  await fed;
}
