/** Where this program's image lies: the pod's own copy, or rkt's treestore's, from which enter and 0.8's gc are run. */
import { dirname, join } from 'node:path';

/** The launcher starts `ROOT/vmm/dist/stage1-NAME.cjs`. */
export function ownRoot(): string {
  return join(dirname(process.argv[1] ?? ''), '../..');
}
