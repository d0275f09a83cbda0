import { VmmError } from '../../base/errors.ts';
import type { ImportLimits } from './limits.ts';
import { type ByteString, NAME_MAX, quoteName } from './names.ts';

/**
 * The components of a path of an archive, relative to the image's root. Leading slashes,
 * "." and empty components are dropped, as tar does. Throws IMAGE_TAR_PATH for "..", NUL and
 * names that are too long: there is no honest reason for them in an image.
 */
export function splitPath(path: ByteString, limits: ImportLimits): ByteString[] {
  if (path.length > limits.maxPathBytes) {
    throw badPath(path, `has ${path.length} bytes; at most ${limits.maxPathBytes} are accepted`);
  }
  if (path.includes('\0')) throw badPath(path, 'contains a NUL byte');
  const parts: ByteString[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') throw badPath(path, 'leads out of its directory ("..")');
    if (part.length > NAME_MAX) throw badPath(path, `has a component of ${part.length} bytes; at most ${NAME_MAX} fit`);
    parts.push(part);
  }
  if (parts.length > limits.maxDepth) {
    throw badPath(path, `is ${parts.length} directories deep; at most ${limits.maxDepth} are accepted`);
  }
  return parts;
}

export function badPath(path: ByteString, why: string): VmmError {
  return new VmmError('IMAGE_TAR_PATH', `entry ${quoteName(path)} ${why}`);
}
