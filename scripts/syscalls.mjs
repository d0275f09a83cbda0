// Writes vmm/seccomp/generated/syscalls.ts: the names and numbers of Linux's system calls on x86-64 and i386.
// Usage: node scripts/syscalls.mjs TREE   (a kernel's source tree, as guest-kernel/kernel/build.sh leaves it in .cache/kernel/)
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib.mjs';

const LINE = 150;

/** Names in the order of their numbers; a number stands where the row does not go on by one. */
function table(text, abis) {
  const calls = [];
  for (const line of text.split('\n')) {
    const match = /^(\d+)\s+(\S+)\s+(\S+)/.exec(line);
    if (match !== null && abis.includes(match[2])) calls.push([Number(match[1]), match[3]]);
  }
  calls.sort(([a], [b]) => a - b);
  const words = [];
  let next = -1;
  for (const [number, name] of calls) {
    if (number !== next) words.push(String(number));
    words.push(name);
    next = number + 1;
  }
  const lines = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < LINE) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `  ${line}`).join('\n');
}

const [tree] = process.argv.slice(2);
if (tree === undefined) {
  process.stderr.write('usage: node scripts/syscalls.mjs TREE\n');
  process.exit(2);
}
const read = (name) => readFileSync(join(tree, 'arch/x86/entry/syscalls', name), 'utf8');
writeFileSync(join(root, 'vmm/seccomp/generated/syscalls.ts'), `// Made by scripts/syscalls.mjs from Linux 6.12, arch/x86/entry/syscalls/syscall_{64,32}.tbl; do not edit.

/** Names in the order of their numbers; a number stands before the names that begin there. */
export const SYSCALLS_X86_64 = \`
${table(read('syscall_64.tbl'), ['common', '64'])}
\`;

export const SYSCALLS_I386 = \`
${table(read('syscall_32.tbl'), ['i386'])}
\`;
`);
