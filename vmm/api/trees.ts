/** Files on their way between containers and the host. */
export { nodeOfHost, placeTree, Received, treeWith } from '../../image/archive/copy.ts';
export { recordsFromTree, recordsOf } from '../../image/archive/records.ts';
export { tarFromTree } from '../../image/tar/writer.ts';
export type { DirNode, TreeNode } from '../../image/tree/node.ts';
