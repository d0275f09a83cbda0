import { VmmError } from '../../base/errors.ts';
import { sha256 } from '../../base/sha256.ts';

/** True for what can name an image: 1 to 255 characters, none of them white space, a control or a formatting character. */
export function isImageName(name: string): boolean {
  return name.length > 0 && name.length <= 255 && !/[\s\p{C}]/u.test(name);
}

/** Names are kept with their tag. Throws USAGE. */
export function normalName(name: string): string {
  if (!isImageName(name)) throw new VmmError('USAGE', `${JSON.stringify(name.slice(0, 300))} is not an image name`, { hint: 'for example debian:12' });
  return TAG.test(name) ? name : `${name}:latest`;
}

const TAG = /:[^/]*$/;

/** A name without its tag. */
export function repositoryOf(name: string): string {
  return name.replace(TAG, '');
}

/** The stored names that a user's text may mean, best first: the tag `latest` and Docker Hub's prefixes may be left out. */
export function candidateNames(text: string): string[] {
  if (!isImageName(text)) return [];
  const name = normalName(text);
  return [name, `docker.io/library/${name}`, `docker.io/${name}`, `localhost/${name}`, ...(name.startsWith('docker.io/library/') ? [name.slice(18)] : [])];
}

/** A text as the name of a file in names/ or sources/. */
export function hashName(text: string): string {
  return sha256(text);
}
