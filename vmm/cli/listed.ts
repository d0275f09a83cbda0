import type { Container, StateFolder } from '../api/owner.ts';
import { describeError } from './describe.ts';
import { tell } from './output.ts';

/** Said once, though a list may be looked at again and again. */
const told = new Set<string>();

/** All containers, the newest first. One whose record cannot be understood is told, and the others are there all the same. Throws STATE_FOLDER. */
export function listed(state: StateFolder): Promise<Container[]> {
  return state.list(({ id, error }) => {
    if (told.has(id)) return;
    told.add(id);
    tell(describeError(error));
  });
}
