import { closeSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore } from '../api/images.ts';
import { fsckStore, loadImages, saveImages } from '../api/store.ts';
import { writeWhole } from '../host/write-whole.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { importing, withStandardInput } from './image-input.ts';
import { flag, oneOf, value } from './options.ts';
import { print, tell } from './output.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

const LOAD = { input: value('FILE', 'the archive to read (default: standard input)', undefined, { short: 'i' }), quiet: flag('no notes, no progress', { short: 'q' }), help: HELP };
const SAVE = {
  output: value('FILE', 'the archive to write (default: standard output)', undefined, { short: 'o' }),
  format: value('docker-archive|oci-archive', 'for podman’s sake: the archive is both', oneOf('docker-archive', 'oci-archive')),
  multiImageArchive: flag('for podman’s sake: an archive holds any number of images', { short: 'm' }),
  quiet: flag('no notes', { short: 'q' }),
  help: HELP,
};
const FSCK = { repair: flag('remove what is damaged, make disks again of their layers'), data: flag('compare each disk with its layers'), help: HELP };

export const LOAD_COMMAND: Subcommand = subcommand({ name: 'image load', synopsis: '[OPTIONS]', about: 'Imports all images of an archive under their names, as docker load does.', options: LOAD }, [0, 0, 'no argument: give -i FILE'], async (_, { input, quiet }) => {
  const { line, options } = importing(new ImageStore(undefined, hostFs), quiet);
  const read = input === undefined ? withStandardInput('image load', options, (path) => loadImages(path, options, '-')) : loadImages(input, options);
  for (const { record, names } of await read.finally(() => line.clear())) print(`${[record.id, ...names].join(' ')}\n`);
  return 0;
});

export const SAVE_COMMAND: Subcommand = subcommand(
  { name: 'image save', synopsis: '[OPTIONS] IMAGE…', about: 'Writes images as an archive for oci-archive:, docker load and vmm image load.', options: SAVE },
  [1, Number.POSITIVE_INFINITY, 'one image or more'],
  async (texts, { output, quiet }) => {
    if (output === undefined && process.stdout.isTTY) throw new VmmError('USAGE', 'image save writes an archive to standard output, which is a terminal', { hint: 'give -o FILE' });
    const chunks = await saveImages(new ImageStore(undefined, hostFs), texts, (text) => (quiet ? undefined : tell(`vmm: ${oneLine(text)}\n`)));
    if (output === undefined) for (const chunk of chunks) print(chunk);
    else writeFile(output, chunks);
    return 0;
  },
);

export const FSCK_COMMAND: Subcommand = subcommand({ name: 'image fsck', synopsis: '[OPTIONS]', about: 'Checks all of the store.', options: FSCK }, [0, 0, 'no argument'], async (_, { repair, data }) => {
  const store = new ImageStore(undefined, hostFs);
  const told = await fsckStore(store, { repair, data });
  for (const { text } of told) print(`${oneLine(text)}\n`);
  const left = told.filter(({ mended }) => !mended).length;
  if (left > 0) throw new VmmError('STORE_DAMAGED', `${store.paths.root}: ${left} ${left === 1 ? 'fault' : 'faults'}`, { hint: repair ? 'pull or import those images again' : 'see `vmm image fsck --repair`' });
  print(told.length === 0 ? 'the store is whole\n' : 'the store is mended\n');
  return 0;
});

/** Whole or not at all, unless it is no regular file, such as /dev/stdout. */
export function writeFile(path: string, chunks: Iterable<Uint8Array>): void {
  const temporary = join(dirname(path), `.vmm-save-${process.pid}`);
  try {
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      for (const chunk of chunks) writeWhole(fd, chunk);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    try {
      unlinkSync(temporary);
    } catch {
      // it was never made
    }
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('OUTPUT_WRITE', `cannot write ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the folder, its permissions and its space' });
  }
}
