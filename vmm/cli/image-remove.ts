/** `vmm image rm` and `prune`. */
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { StateFolder } from '../api/owner.ts';
import { pruneStore, removeImage } from '../api/store.ts';
import { HELP } from './common-options.ts';
import { describeError } from './describe.ts';
import { imageFilter, imagesChosen } from './image-filter.ts';
import { flag, list } from './options.ts';
import { print, tell } from './output.ts';
import { size } from './size-text.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const FILTERS = ['until', 'label', 'label!', 'dangling'];

const REMOVE = {
  all: flag('every image', { short: 'a' }),
  force: flag('say nothing of images that are not there; containers that are kept have their disks, with or without it', { short: 'f' }),
  ignore: flag('say nothing of images that are not there', { short: 'i' }),
  noPrune: flag('for Docker’s sake: an image has no untagged parents'),
  help: HELP,
};
const PRUNE = {
  all: flag('those that have a name, too, unless a container was made of them', { short: 'a' }),
  filter: list('KEY=VALUE', `choose: ${FILTERS.join(', ')}`, imageFilter(...FILTERS)),
  force: flag('for Docker’s sake: nothing is asked', { short: 'f' }),
  help: HELP,
};

export const REMOVE_COMMAND: Subcommand = subcommand(
  { name: 'image rm', synopsis: '[OPTIONS] IMAGE…', about: 'Removes names, and images that have no other; an id takes an image with all its names.', options: REMOVE },
  [0, Number.POSITIVE_INFINITY, 'one image or more'],
  async (given, { all, force, ignore }) => {
    if (all === given.length > 0) throw new VmmError('USAGE', all ? 'image rm -a takes no names' : 'image rm takes one image or more', { hint: 'see `vmm image rm --help`' });
    const store = new ImageStore(undefined, hostFs);
    let failed: VmmError | undefined;
    for (const name of all ? store.list().map(({ record }) => record.id) : given) {
      try {
        for (const gone of await removeImage(store, name)) print(`removed ${gone}\n`);
      } catch (error) {
        if (!(error instanceof VmmError) || /^(STORE|OUTPUT)_/.test(error.code)) throw error;
        if ((force || ignore) && error.code === 'IMAGE_NOT_FOUND') continue;
        // As Docker: the others go all the same.
        if (failed !== undefined) tell(describeError(failed));
        failed = error;
      }
    }
    if (failed !== undefined) throw failed;
    return 0;
  },
);

export const PRUNE_COMMAND: Subcommand = subcommand(
  { name: 'image prune', synopsis: '[OPTIONS]', about: 'Removes images without a name, and leavings; it asks nothing.', options: PRUNE },
  [0, 0, 'no argument'],
  async (_, { all, filter }) => {
    const store = new ImageStore(undefined, hostFs);
    // As Docker: dangling=false is --all.
    const every = all || filter.some(([key, text]) => key === 'dangling' && /^(false|0)$/.test(text));
    const chosen = imagesChosen(store, filter.filter(([key]) => key !== 'dangling'));
    const used = every ? await usedImages() : (): boolean => false;
    print(`freed ${size(await pruneStore(store, every, (image) => chosen(image) && !used(image.record.id)))}\n`);
    return 0;
  },
);

/** Whether a kept container was made of an image: it has the disk by a link of its own, but `commit` needs the rest. What stands anywhere in a record of another version counts. */
async function usedImages(): Promise<(id: string) => boolean> {
  const foreign: string[] = [];
  const containers = await new StateFolder().list(({ error, text }) => {
    foreign.push(text);
    tell(`vmm: ${error.message}: images that it names count as used\n`);
  });
  const used = new Set(containers.map(({ record }) => record.imageId));
  return (id) => used.has(id) || foreign.some((text) => text.includes(id));
}
