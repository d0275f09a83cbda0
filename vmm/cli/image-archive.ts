import { closeSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VmmError } from '../api/errors.ts';
import type { ImageStore } from '../api/images.ts';
import { fsckStore, imageHistory, loadImages, saveImages } from '../api/store.ts';
import { writeWhole } from '../host/write-whole.ts';
import { oneLine } from './describe.ts';
import { columns, type ImageOptions, importing, withStandardInput } from './image-options.ts';
import { print, tell } from './output.ts';
import { size } from './size-text.ts';

/** `vmm image load`. */
export async function load(store: ImageStore, _: readonly string[], { input, quiet }: ImageOptions): Promise<void> {
  const { line, options } = importing(store, quiet);
  const read = input === undefined ? withStandardInput('image load', options, (path) => loadImages(path, options, '-')) : loadImages(input, options);
  for (const { record, names } of await read.finally(() => line.clear())) print(`${[record.id, ...names].join(' ')}\n`);
}

/** `vmm image save`. */
export async function save(store: ImageStore, texts: readonly string[], { output }: ImageOptions): Promise<void> {
  if (output === undefined && process.stdout.isTTY) throw new VmmError('USAGE', 'image save writes an archive to standard output, which is a terminal', { hint: 'give -o FILE' });
  const chunks = await saveImages(store, texts, (text) => tell(`vmm: ${oneLine(text)}\n`));
  if (output === undefined) for (const chunk of chunks) print(chunk);
  else writeFile(output, chunks);
}

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

/** `vmm image history`. */
export function history(store: ImageStore, [name = '']: readonly string[], { noTrunc }: ImageOptions): void {
  const { record } = store.named(name);
  const steps = imageHistory(store, record);
  if (steps === undefined) throw new VmmError('IMAGE_NOT_FOUND', `the store has no history of ${name}`, { hint: 'it came without one, or before histories were kept: pull or import it again' });
  const cut = (text: string): string => (noTrunc || text.length <= 60 ? text : `${text.slice(0, 59)}…`);
  print(columns([['CREATED', 'SIZE', 'COMMENT', 'CREATED BY'], ...steps.map(({ created, by, comment, size: bytes }) => [oneLine(created ?? '-').slice(0, 19), size(bytes), oneLine(cut(comment)), cut(oneLine(by))])]));
}

/** `vmm image fsck`. */
export async function fsck(store: ImageStore, _: readonly string[], { repair, data }: ImageOptions): Promise<void> {
  const told = await fsckStore(store, { repair, data });
  for (const { text } of told) print(`${oneLine(text)}\n`);
  const left = told.filter(({ mended }) => !mended).length;
  if (left > 0) throw new VmmError('STORE_DAMAGED', `${store.paths.root}: ${left} ${left === 1 ? 'fault' : 'faults'}`, { hint: repair ? 'pull or import those images again' : 'see `vmm image fsck --repair`' });
  print(told.length === 0 ? 'the store is whole\n' : 'the store is mended\n');
}
