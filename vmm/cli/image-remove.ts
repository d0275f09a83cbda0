/** `vmm image rm` and `prune`. */
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { pruneStore, removeImage } from '../api/store.ts';
import { HELP } from './common-options.ts';
import { eachOf, OF_IMAGES } from './each-of.ts';
import { imageFilter, imagesChosen } from './image-filter.ts';
import { imageUsers } from './image-users.ts';
import { flag, list } from './options.ts';
import { print } from './output.ts';
import { size } from './size-text.ts';
import { ROOT } from './state-option.ts';
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
  all: flag('those that have a name, too', { short: 'a' }),
  root: ROOT,
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
    return eachOf(all ? store.list().map(({ record }) => record.id) : given, OF_IMAGES, async (name) => {
      try {
        for (const gone of await removeImage(store, name)) print(`removed ${gone}\n`);
      } catch (error) {
        if (!((force || ignore) && error instanceof VmmError && error.code === 'IMAGE_NOT_FOUND')) throw error;
      }
    });
  },
);

export const PRUNE_COMMAND: Subcommand = subcommand(
  { name: 'image prune', synopsis: '[OPTIONS]', about: 'Removes images without a name of which no container was made, and leavings; it asks nothing.', options: PRUNE },
  [0, 0, 'no argument'],
  async (_, { all, filter, root }) => {
    const store = new ImageStore(undefined, hostFs);
    // As Docker: dangling=false is --all.
    const every = all || filter.some(([key, text]) => key === 'dangling' && /^(false|0)$/.test(text));
    const chosen = imagesChosen(store, filter.filter(([key]) => key !== 'dangling'));
    const used = await imageUsers(root);
    print(`freed ${size(await pruneStore(store, every, (image) => chosen(image) && !used(image.record.id)))}\n`);
    return 0;
  },
);
