import { tmpdir } from 'node:os';
import { extractAci, renderDisk, type Unmade } from '../api/appc.ts';
import { hostFs, ImageStore, resolveImage } from '../api/images.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { INSECURE } from './insecure-option.ts';
import { flag } from './options.ts';
import { tell } from './output.ts';
import { subcommand } from './subcommand.ts';

const OVERWRITE = flag('remove the directory first if it is there');
const OWNERS = flag('everything is owned by who unpacks (default: as in the image, where root unpacks)');

export const EXTRACT = subcommand(
  {
    name: 'aci extract',
    synopsis: '[OPTIONS] FILE DIR',
    about: 'Unpacks an ACI into a directory, which must not be there or be empty: `manifest` and `rootfs`. What it depends on is not in it.',
    options: { rootfsOnly: flag('what is in rootfs, without the manifest'), overwrite: OVERWRITE, noSameOwner: OWNERS, help: HELP },
  },
  [2, 2, 'an ACI and a directory'],
  async ([file = '', dir = ''], { rootfsOnly, overwrite, noSameOwner }) => {
    tellUnmade(await extractAci(file, dir, tmpdir(), { rootfsOnly, overwrite, owners: owners(noSameOwner), host: await hostFs() }));
    return 0;
  },
);

export const RENDER = subcommand(
  {
    name: 'aci render',
    synopsis: '[OPTIONS] IMAGE DIR',
    about: 'Writes the root file system that a run of the image would have into a directory: with all that it depends on, and only what path whitelists keep.\nAny image that `vmm run` takes will do.',
    options: { overwrite: OVERWRITE, noSameOwner: OWNERS, insecureOptions: INSECURE, help: HELP },
  },
  [2, 2, 'an image and a directory'],
  async ([reference = '', dir = ''], { overwrite, noSameOwner, insecureOptions: insecure }) => {
    const store = new ImageStore(undefined, hostFs);
    const { rootfs } = await resolveImage(reference, { store, host: hostFs, pull: 'missing', ...(insecure === undefined ? {} : { insecure }), note: (text) => tell(`vmm: ${oneLine(text)}\n`) });
    tellUnmade(renderDisk(rootfs, dir, { overwrite, owners: owners(noSameOwner), host: await hostFs() }));
    return 0;
  },
);

function owners(noSameOwner: boolean): boolean {
  return !noSameOwner && process.geteuid?.() === 0;
}

function tellUnmade(unmade: Unmade): void {
  for (const [reason, { count, first }] of unmade) tell(`vmm: ${count} ${reason}${count === 1 ? '' : 's'} could not be made, first at ${oneLine(Buffer.from(first, 'latin1').toString('utf8'))}\n`);
}
