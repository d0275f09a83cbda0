import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HANG_MS } from '../limits.ts';
import { busyboxImage } from './busybox-image.ts';

/** Of the standard library what most programs take; not what is for developers of Python. */
const LEFT_OUT = /^(test|idlelib|ensurepip|lib2to3|turtledemo|tkinter|distutils|site-packages|dist-packages|config-.*)$/;

/** A root file system with the host's Python 3 in it; undefined where it has none. */
export function pythonImage(): string | undefined {
  const python = '/usr/bin/python3';
  if (!existsSync(python)) return undefined;
  const text = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', timeout: HANG_MS });
  const library = text(python, '-Ic', 'import sysconfig; print(sysconfig.get_path("stdlib"))').trim();
  const dir = busyboxImage();
  const copy = (path: string): void => {
    mkdirSync(join(dir, dirname(path)), { recursive: true });
    copyFileSync(path, join(dir, path));
  };
  copy(python);
  for (const [path] of text('ldd', python).matchAll(/\/\S+/g)) copy(path);
  cpSync(library, join(dir, library), { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter: (path) => !LEFT_OUT.test(path.slice(library.length + 1)) });
  return dir;
}
