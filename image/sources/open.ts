import { createHash } from 'node:crypto';
import { type BigIntStats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { EMPTY_CONFIG } from '../documents/config.ts';
import { isElfHead, readHead } from './magic.ts';
import type { PathReference } from './reference.ts';
import { type AciHooks, aciArchive, isAci } from './aci.ts';
import { Archive } from './archive.ts';
import { dockerArchive, isDockerArchive } from './docker.ts';
import { isOciLayout, isSkopeoDir, ociArchive, ociDirectory, skopeoDirectory } from './oci.ts';
import type { ImageSource } from './source.ts';

/** A root file system as a plain directory: no layers, its own identity. */
export interface DirectorySource {
  readonly directory: string;
}

/** Stat fields of what a user named. Throws IMAGE_OPEN. */
function statImage(path: string): BigIntStats {
  try {
    return statSync(path, { bigint: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new VmmError('IMAGE_OPEN', code === 'ENOENT' ? `image ${path} does not exist` : `cannot reach image ${path}: ${code}`, { cause, hint: 'check the path' });
  }
}

/** Opens what a reference names; a plain path is recognised by its content. Throws IMAGE_*, ACI_*. */
export async function openSource(reference: PathReference, tempDir: () => Promise<string>, hooks?: () => Promise<AciHooks>): Promise<ImageSource | DirectorySource> {
  const path = resolve(reference.path);
  const stat = statImage(path);
  switch (reference.kind) {
    case 'dir':
      needDirectory(stat, reference.path);
      return isSkopeoDir(path) ? skopeoDirectory(path) : { directory: path };
    case 'oci':
      needDirectory(stat, reference.path);
      if (!isOciLayout(path)) throw new VmmError('IMAGE_BAD', `${reference.path} is not an OCI layout`, { hint: 'it has no oci-layout and index.json; is it dir:?' });
      return ociDirectory(path, reference.tag);
    default:
      if (!stat.isDirectory()) break;
      if (reference.kind !== 'path') throw new VmmError('IMAGE_OPEN', `image ${reference.path} is a directory`, { hint: `${reference.kind}: takes a file` });
      if (isOciLayout(path)) return ociDirectory(path, undefined);
      return isSkopeoDir(path) ? skopeoDirectory(path) : { directory: path };
  }
  if (!stat.isFile()) throw new VmmError('IMAGE_OPEN', `image ${reference.path} is neither a file nor a directory`, { hint: 'give an archive or a directory' });
  if (stat.size === 0n) throw new VmmError('IMAGE_BAD', `image ${reference.path} is empty`, { hint: 'give a tar archive' });
  if (isElfHead(readHead(path))) throw new VmmError('IMAGE_BAD', `${reference.path} is a program, not an image`, { hint: 'boot kernels with `vmm boot --kernel`' });
  return openArchive(path, reference, tempDir, hooks);
}

async function openArchive(path: string, reference: PathReference, tempDir: () => Promise<string>, hooks: (() => Promise<AciHooks>) | undefined): Promise<ImageSource> {
  const archive = await Archive.open(path, await tempDir());
  try {
    const tag = 'tag' in reference ? reference.tag : undefined;
    switch (reference.kind) {
      case 'oci-archive':
        return ociArchive(archive, tag);
      case 'docker-archive':
        return dockerArchive(archive, tag);
      case 'aci':
        return await aciArchive(archive, await hooks?.());
      default:
        // Archives of newer `docker save`s are OCI layouts too; manifest.json has the names.
        if (isDockerArchive(archive)) return dockerArchive(archive, undefined);
        if (archive.has('index.json') && archive.has('oci-layout')) return ociArchive(archive, undefined);
        if (isAci(archive)) return await aciArchive(archive, await hooks?.());
        return plainTar(archive);
    }
  } catch (error) {
    archive.close();
    throw error;
  }
}

/** A root file system in a tar archive. */
function plainTar(archive: Archive): ImageSource {
  const digest = `sha512:${archive.sha512()}`;
  return {
    // Not the digest itself: as an ACI or as a layer the same bytes are another root.
    id: `sha256:${createHash('sha256').update(`rootfs ${digest}`).digest('hex')}`,
    names: [],
    created: undefined,
    config: EMPTY_CONFIG,
    chainId: undefined,
    layers: [{ name: archive.name, data: archive.whole(), digest, whiteouts: false }],
    close: () => archive.close(),
  };
}

function needDirectory(stat: BigIntStats, path: string): void {
  if (!stat.isDirectory()) throw new VmmError('IMAGE_OPEN', `image ${path} is not a directory`, { hint: 'give a directory' });
}
