// What a grep over the files that git tracks can hold.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../lib.mjs';

const SIZE_MOST = 10 * 1024 * 1024;
const TEXT = /\.(ts|mts|mjs|js|cjs|c|h|S|sh|md|json|html|css)$|^[^.]+$/;

export function words(report) {
  const tracked = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).stdout.split('\0').filter(Boolean);
  for (const name of tracked) {
    const path = join(root, name);
    if (!existsSync(path)) continue;
    if (statSync(path).size > SIZE_MOST) report(`${name}: over 10 MB`);
    if (!TEXT.test(name) || name === 'package-lock.json') continue;
    readFileSync(path, 'utf8').split('\n').forEach((line, index) => {
      // A reader has no list of issues to look the number up in.
      if (/\bissues? #?\d/i.test(line)) report(`${name}:${index + 1}: names an issue by a number that a reader cannot find`);
    });
  }
  if (/"resolved"/.test(readFileSync(join(root, 'package-lock.json'), 'utf8'))) report('package-lock.json: names a registry host ("resolved")');
}
