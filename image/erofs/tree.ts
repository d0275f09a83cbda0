import { type ByteSource, EMPTY_CONTENT, type FileContent } from '../tree/content.ts';
import type { ByteString } from '../tree/names.ts';
import { copyMeta, type DirNode, makeDir, type TreeNode } from '../tree/node.ts';
import type { ErofsImage, ErofsStat } from './reader.ts';

/** A disk's tree again, hard links and holes included. Its files are read from the image, which has to stay open. Throws IMAGE_EROFS_CORRUPT. */
export function treeFromErofs(image: ErofsImage): DirNode {
  const rootStat = image.stat('');
  if (rootStat === undefined) throw new Error('a disk without a root');
  const root = makeDir(rootStat);
  const links = new Map<number, TreeNode>();
  const todo: [ByteString, DirNode][] = [['', root]];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [path, dir] = next;
    for (const { name, stat } of image.list({ bytes: path })) {
      const at = path === '' ? name : `${path}/${name}`;
      const node = links.get(stat.nid) ?? nodeOf(image, at, stat);
      dir.children.set(name, node);
      if (node.type === 'dir') todo.push([at, node]);
      else if (stat.nlink > 1) links.set(stat.nid, node);
    }
  }
  return root;
}

function nodeOf(image: ErofsImage, path: ByteString, stat: ErofsStat): TreeNode {
  const meta = copyMeta(stat);
  switch (stat.type) {
    case 'dir':
      return makeDir(stat);
    case 'file':
      return { type: 'file', ...meta, content: contentOf(image, stat) };
    case 'symlink':
      return { type: 'symlink', ...meta, target: image.readLink({ bytes: path }) };
    case 'char':
    case 'block':
      return { type: stat.type, ...meta, devMajor: stat.devMajor, devMinor: stat.devMinor };
    default:
      return { type: stat.type, ...meta };
  }
}

function contentOf(image: ErofsImage, { nid, size }: ErofsStat): FileContent {
  if (size === 0) return EMPTY_CONTENT;
  const source: ByteSource = {
    read: (into, position) => {
      into.set(image.readRange(nid, position, into.length));
    },
    release: () => {},
  };
  return { size, extents: image.storedRanges(nid).map(({ start, end }) => ({ fileOffset: start, length: end - start, source, sourceOffset: start })) };
}
