/** `vmm cp`: Docker's rules for where things go. */
import { VmmError } from '../api/errors.ts';
import { runs, StateFolder } from '../api/owner.ts';
import { RemoteBox } from '../api/remote.ts';
import { type CopyBox, copyIn, copyOut } from '../api/trees.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { flag } from './options.ts';
import { print, tell } from './output.ts';
import { ROOT } from './state-option.ts';
import { STATUS_VMM_ERROR } from './status.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const OPTIONS = {
  root: ROOT,
  archive: flag('keep owners, too', { short: 'a' }),
  followLink: flag('copy what a link that is named leads to', { short: 'L' }),
  quiet: flag('accepted for Docker’s sake: there is no progress line', { short: 'q' }),
  help: HELP,
};

export const CP_COMMAND: Subcommand = subcommand(
  { name: 'cp', synopsis: '[OPTIONS] CONTAINER:PATH PATH|- | [OPTIONS] PATH|- CONTAINER:PATH', about: 'Copies files between a container and the host; `-` is a tar archive on standard input or output.', options: OPTIONS },
  [2, 2, 'a source and a target'],
  async ([source = '', target = ''], { root, archive, followLink }) => {
    const [from, to] = [inContainer(source), inContainer(target)];
    const how = { owners: archive, follow: followLink };
    if (from !== undefined && to === undefined) return withBox(from.container, root, async (box) => tellUnmade(await copyOut(box, from.path, target === '-' ? print : target, how)));
    if (to !== undefined && from === undefined) return withBox(to.container, root, (box) => copyIn(box, source === '-' ? process.stdin : source, to.path, how), true);
    throw new VmmError('USAGE', from === undefined ? 'neither source nor target is in a container' : 'both source and target are in containers', { hint: 'write CONTAINER:PATH for one of them' });
  },
);

/** `NAME:PATH`; what begins like a path of the host is one (`./a:b`). */
function inContainer(text: string): { container: string; path: string } | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0 || text.startsWith('/') || text.startsWith('.')) return undefined;
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** One that does not run has a machine of its own meanwhile, which nothing runs in. */
async function withBox(name: string, root: string | undefined, use: (box: CopyBox) => Promise<void>, writes = false): Promise<number> {
  const state = new StateFolder(root);
  const one = await state.find(name);
  const { id, disk } = one.record;
  const what = `container ${name}`;
  const boxOn = (socket: string): CopyBox => ({ box: new RemoteBox(socket, what), what });
  if (runs(one)) {
    await use(boxOn(state.socket(id)));
    return 0;
  }
  if (writes && !disk) throw new VmmError('CONTAINER_STATE', `${what} does not run, and keeps nothing`, { hint: '`vmm start` it first' });
  state.make();
  const { withFiles } = await import('./start-owner.ts');
  return (await withFiles(state, id, (socket) => use(boxOn(socket)))) ? 0 : STATUS_VMM_ERROR;
}

function tellUnmade(unmade: Awaited<ReturnType<typeof copyOut>>): void {
  for (const [reason, { count, first }] of unmade) tell(`vmm: ${count} ${reason}${count === 1 ? '' : 's'} could not be made, first at ${oneLine(Buffer.from(first, 'latin1').toString('utf8'))}\n`);
}
