import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { VmmError } from '../vmm/errors.ts';
import { isElfHead, readHead } from './magic.ts';
import type { ImageReference } from './reference.ts';
import { aciArchive } from './sources/aci.ts';
import { Archive } from './sources/archive.ts';
import { dockerArchive } from './sources/docker.ts';
import { isOciLayout, isSkopeoDir, ociArchive, ociDirectory, skopeoDirectory } from './sources/oci.ts';
import type { ImageSource } from './sources/source.ts';
import { EMPTY_CONFIG } from './config.ts';

/** A root file system as a plain directory: no layers, its own identity. */
export interface DirectorySource {
  readonly directory: string;
}

type PathReference = Exclude<ImageReference, { kind: 'name' }>;

/** Opens what a reference names; a plain path is recognised by its content. Throws IMAGE_*. */
export async function openSource(reference: PathReference, tempDir: string): Promise<ImageSource | DirectorySource> {
  const path = resolve(reference.path);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new VmmError('IMAGE_OPEN', `image ${reference.path} does not exist`, { hint: 'check the path' });
  switch (reference.kind) {
    case 'dir':
      needDirectory(stat.isDirectory(), reference.path);
      return isSkopeoDir(path) ? skopeoDirectory(path) : { directory: path };
    case 'oci':
      needDirectory(stat.isDirectory(), reference.path);
      if (!isOciLayout(path)) throw new VmmError('IMAGE_BAD', `${reference.path} is not an OCI layout`, { hint: 'it has no oci-layout and index.json; is it dir:?' });
      return ociDirectory(path, reference.tag);
    case 'path':
      if (stat.isDirectory()) return isOciLayout(path) ? ociDirectory(path, undefined) : isSkopeoDir(path) ? skopeoDirectory(path) : { directory: path };
      break;
    default:
      break;
  }
  if (!stat.isFile()) throw new VmmError('IMAGE_OPEN', `image ${reference.path} is neither a file nor a directory`, { hint: 'give an archive or a directory' });
  if (stat.size === 0) throw new VmmError('IMAGE_BAD', `image ${reference.path} is empty`, { hint: 'give a tar archive' });
  if (isElfHead(readHead(path))) throw new VmmError('IMAGE_BAD', `${reference.path} is a program, not an image`, { hint: 'boot kernels with `vmm boot --kernel`' });
  return openArchive(path, reference, tempDir);
}

async function openArchive(path: string, reference: PathReference, tempDir: string): Promise<ImageSource> {
  const archive = await Archive.open(path, tempDir);
  try {
    const tag = 'tag' in reference ? reference.tag : undefined;
    switch (reference.kind) {
      case 'oci-archive':
        return ociArchive(archive, tag);
      case 'docker-archive':
        return dockerArchive(archive, tag);
      case 'aci':
        return aciArchive(archive);
      default:
        // Archives of newer `docker save`s are OCI layouts too; manifest.json has the names.
        if (archive.has('manifest.json')) return dockerArchive(archive, undefined);
        if (archive.has('index.json') && archive.has('oci-layout')) return ociArchive(archive, undefined);
        if (archive.has('manifest')) return aciArchive(archive);
        return plainTar(archive);
    }
  } catch (error) {
    archive.close();
    throw error;
  }
}

/** A root file system in a tar archive. */
function plainTar(archive: Archive): ImageSource {
  return {
    id: `sha512:${archive.sha512()}`,
    names: [],
    created: undefined,
    config: EMPTY_CONFIG,
    chainId: undefined,
    layers: [{ name: archive.name, data: archive.whole(), whiteouts: false }],
    close: () => archive.close(),
  };
}

function needDirectory(is: boolean, path: string): void {
  if (!is) throw new VmmError('IMAGE_OPEN', `image ${path} is not a directory`, { hint: 'give a directory' });
}

