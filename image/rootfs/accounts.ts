import { VmmError } from '../../base/errors.ts';
import { ErofsImage } from '../erofs/reader.ts';

/** Longest /etc/passwd or /etc/group that is read, bytes. */
const FILE_MAX = 4 << 20;

/**
 * `USER:GROUP` as an appc app names them (App Container specification, "App", user): a name of the image's own /etc/passwd or
 * /etc/group, even one of digits; else a number; else a path, whose owner it is. Names that are no digits are left to who runs it.
 * Throws IMAGE_NOT_FOUND.
 */
export function accountsOf(disk: string, { user, group }: { readonly user: string; readonly group: string }): string {
  const image = new ErofsImage(disk);
  try {
    return `${accountOf(image, user, 'uid', '/etc/passwd')}:${accountOf(image, group, 'gid', '/etc/group')}`;
  } finally {
    image.close();
  }
}

function accountOf(image: ErofsImage, name: string, which: 'uid' | 'gid', file: string): string {
  if (name.startsWith('/')) {
    const stat = image.stat(name);
    if (stat === undefined) throw new VmmError('IMAGE_NOT_FOUND', `the image runs as the owner of ${JSON.stringify(name.slice(0, 200))}, which is not in it`, { hint: 'its app section names a file for user or group' });
    return String(stat[which]);
  }
  if (!/^\d+$/.test(name) || image.stat(file)?.type !== 'file') return name;
  const line = image.readFile(file, FILE_MAX).toString('utf8').split('\n').map((text) => text.split(':')).find(([own]) => own === name);
  return /^\d+$/.test(line?.[2] ?? '') ? (line?.[2] as string) : name;
}
