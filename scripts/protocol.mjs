// Writes vmm/agent/generated/protocol.ts: the numbers of the agent protocol, from guest-kernel/init/protocol.h.
// `node scripts/protocol.mjs` writes; with --check it compares, as `npm run check` does.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './lib.mjs';

export const protocolHeader = join(root, 'guest-kernel', 'init', 'protocol.h');
export const protocolPath = join(root, 'vmm', 'agent', 'generated', 'protocol.ts');

const NUMBER = '(?:0x[0-9a-fA-F]+|[0-9]+)';
const VALUE = `${NUMBER}|\\(${NUMBER}(?: \\* ${NUMBER})+\\)|\\(1 << (?:[12]?[0-9]|30)\\)`;
const DEFINE = new RegExp(`^#define (\\w+) (${VALUE})(?:\\s*/\\* (.*) \\*/)?$`);

/** The TypeScript of a header whose defines are numbers, products of numbers or single bits; a define of another form is an error. Comments stay. */
export function protocolText(header) {
  const out = ['// Made by scripts/protocol.mjs from guest-kernel/init/protocol.h; do not edit.', ''];
  let inComment = false;
  for (const line of header.slice(header.indexOf('\n\n') + 2, header.lastIndexOf('\n#endif')).split('\n')) {
    const define = inComment ? null : DEFINE.exec(line);
    if (define !== null) {
      const [, name, value, comment] = define;
      out.push(`export const ${name} = ${value.replace(/^\((.*)\)$/, '$1')};${comment === undefined ? '' : ` // ${comment}`}`);
    } else if (inComment || line === '' || line.startsWith('/*')) {
      out.push(line.replace(/^\/\* (.*) \*\/$/, '// $1'));
      inComment = (inComment || line.startsWith('/*')) && !line.endsWith('*/');
    } else throw new Error(`guest-kernel/init/protocol.h: neither a number nor a comment: ${line}`);
  }
  return `${out.join('\n').replace(/\n{3,}/g, '\n\n').trimEnd()}\n`;
}

/** undefined when the generated file is what the header says; else what to do. */
export function protocolStale() {
  if (readFileSync(protocolPath, 'utf8') === protocolText(readFileSync(protocolHeader, 'utf8'))) return undefined;
  return 'vmm/agent/generated/protocol.ts does not agree with guest-kernel/init/protocol.h: run node scripts/protocol.mjs';
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--check')) {
    const stale = protocolStale();
    if (stale !== undefined) process.stderr.write(`${stale}\n`);
    process.exitCode = stale === undefined ? 0 : 1;
  } else {
    mkdirSync(dirname(protocolPath), { recursive: true });
    writeFileSync(protocolPath, protocolText(readFileSync(protocolHeader, 'utf8')));
  }
}
