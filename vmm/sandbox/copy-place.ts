import { VmmError } from '../../base/errors.ts';

export interface Target {
  /** As the user wrote it. */
  readonly shown: string;
  readonly kind: 'missing' | 'directory' | 'other';
  readonly path: string;
  /** Of `path`. */
  readonly directory: string;
  readonly name: string;
  /** It ends with one: a directory is meant. */
  readonly slash: boolean;
  /** The directory that it would be in is there. */
  readonly parent: boolean;
}

/** Where a copy goes: into this directory, under this name; without one what is in the source. */
export interface Place {
  readonly directory: string;
  readonly name: string | undefined;
}

/** Docker's rules (docs.docker.com, `docker container cp`). `content`: the source ends with `/.`. Throws COPY_TARGET. */
export function placeOf({ isDirectory, base, content }: { readonly isDirectory: boolean; readonly base: string; readonly content: boolean }, target: Target): Place {
  if (target.kind === 'directory') return { directory: target.path, name: isDirectory && content ? undefined : base };
  if (target.kind === 'other') {
    if (isDirectory) throw new VmmError('COPY_TARGET', `${target.shown} is no directory, and the source is one`);
    if (target.slash) throw new VmmError('COPY_TARGET', `${target.shown} is no directory`);
  } else {
    if (!isDirectory && target.slash) throw new VmmError('COPY_TARGET', `there is no directory ${target.shown}`, { hint: 'make it first, or leave the slash away' });
    if (!target.parent) throw new VmmError('COPY_TARGET', `there is no directory for ${target.shown}`, { hint: 'make it first' });
  }
  return { directory: target.directory, name: target.name };
}
