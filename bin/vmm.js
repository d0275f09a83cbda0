#!/usr/bin/env -S node --
// The `--`: Node 20 and later look for their own options (--env-file) among the program's too.
// The CLI's door: the program itself is dist/cli.js, built by `npm start`, `npm test` or `npm run setup`.
import { existsSync } from 'node:fs';

const cli = new URL('../dist/cli.js', import.meta.url);
if (existsSync(cli)) {
  await import(cli.href);
} else {
  process.stderr.write('vmm: not built yet: run `npm run setup` in the checkout first\n');
  process.exitCode = 125;
}
