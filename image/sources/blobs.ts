import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import type { LayerSource } from '../rootfs/build.ts';
import type { TypedDescriptor } from '../documents/descriptor.ts';
import { JSON_MAX } from '../documents/json.ts';
import type { Archive } from './archive.ts';

/** Content by digest: `blobs/` of an OCI layout in a directory or an archive, or a directory of skopeo's `dir:`. */
export interface BlobStore {
  readonly name: string;
  /** A document of at most JSON_MAX bytes, its digest checked. `suffix` follows the file's usual name. */
  document(digest: string, suffix?: string): Promise<Uint8Array>;
  /** Told what `layer` will be asked for. */
  expect?(layers: readonly TypedDescriptor[]): void;
  /** Where a layer's bytes lie; its digest is checked when it is read. */
  layer(digest: string): LayerSource['data'];
}

/** Algorithm and hex digits of a digest (OCI image spec, descriptor.md); anything else never becomes a path. */
export function splitDigest(digest: string, where: string): { algorithm: 'sha256' | 'sha512'; hex: string } {
  const match = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.exec(digest);
  if (match === null) throw new VmmError('IMAGE_BAD', `${where}: ${JSON.stringify(digest.slice(0, 80))} is not a digest`, { hint: 'sha256 and sha512 are known' });
  const [algorithm, hex] = digest.split(':') as ['sha256' | 'sha512', string];
  return { algorithm, hex };
}

function verified(bytes: Uint8Array, digest: string, where: string): Uint8Array {
  const { algorithm, hex } = splitDigest(digest, where);
  const got = createHash(algorithm).update(bytes).digest('hex');
  if (got !== hex) throw new VmmError('IMAGE_DIGEST', `${where}: ${digest} has the digest ${algorithm}:${got}`, { hint: 'the image is damaged or was changed' });
  return bytes;
}

/** Reads a document of an image directory, at most JSON_MAX bytes. Never waits: what is no file (a FIFO) is refused. */
export function readSmall(path: string): Uint8Array {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new VmmError('IMAGE_OPEN', `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'the image is incomplete, or not yours to read' });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new VmmError('IMAGE_BAD', `${path} is not a file`, { hint: 'the image is damaged' });
    if (stat.size > JSON_MAX) throw new VmmError('IMAGE_LIMIT', `${path} of ${stat.size} bytes is too large`, { hint: `at most ${JSON_MAX} are read` });
    const bytes = new Uint8Array(stat.size);
    let done = 0;
    for (let n = 1; n > 0 && done < bytes.length; done += n) n = readSync(fd, bytes, done, bytes.length - done, done);
    return bytes.subarray(0, done);
  } finally {
    closeSync(fd);
  }
}

/** Blobs of a directory: `blobs/ALGORITHM/HEX` (OCI) or plain `HEX` (skopeo's dir:). */
export function directoryBlobs(dir: string, layout: 'oci' | 'flat'): BlobStore {
  const pathOf = (digest: string): string => {
    const { algorithm, hex } = splitDigest(digest, dir);
    return layout === 'oci' ? join(dir, 'blobs', algorithm, hex) : join(dir, hex);
  };
  return {
    name: dir,
    document: async (digest, suffix = '') => verified(readSmall(pathOf(digest) + suffix), digest, dir),
    layer: (digest) => ({ path: pathOf(digest) }),
  };
}

export function archiveBlobs(archive: Archive): BlobStore {
  const nameOf = (digest: string): string => {
    const { algorithm, hex } = splitDigest(digest, archive.name);
    return `blobs/${algorithm}/${hex}`;
  };
  return {
    name: archive.name,
    document: async (digest, suffix = '') => verified(archive.read(nameOf(digest) + suffix), digest, archive.name),
    layer: (digest) => archive.range(nameOf(digest)),
  };
}
