// Numbers have one home: those of the agent protocol, of errno and of the core's border are not typed a second time.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';
import { filesBelow, root } from '../lib.mjs';
import { protocolStale } from '../protocol.mjs';

const CONTRACT = 'assembly/contract/';
/** Names of <errno.h>; the generated file has those that are used. */
const ERRNO = new Set(
  `EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN EWOULDBLOCK ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE
  ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME EOVERFLOW ENOTSOCK EOPNOTSUPP ENOTSUP
  EADDRINUSE EADDRNOTAVAIL ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS ESTALE EDQUOT ECANCELED`.split(/\s+/),
);

/** Constants that are numbers, at any depth of a file: {name, value, line, exported, above}; `above` is the comment before it and on its line. */
function numbersOf(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && /^[A-Z][A-Z0-9_]*$/.test(node.name.text) && node.initializer !== undefined && (node.parent.flags & ts.NodeFlags.Const) !== 0) {
      const value = numberOf(node.initializer);
      const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      const above = (ts.getLeadingCommentRanges(source.text, node.parent.parent.getFullStart()) ?? []).map(({ pos, end }) => source.text.slice(pos, end)).join('\n');
      if (value !== undefined) found.push({ name: node.name.text, value, line, above });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The value of a number, a product or a shift of numbers; undefined for anything else. */
function numberOf(node) {
  if (ts.isNumericLiteral(node)) return Number(node.text);
  if (ts.isBigIntLiteral(node)) return Number(BigInt(node.text.replace(/n$/, '')));
  if (ts.isParenthesizedExpression(node)) return numberOf(node.expression);
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken) {
    const value = numberOf(node.operand);
    return value === undefined ? undefined : -value;
  }
  if (!ts.isBinaryExpression(node)) return undefined;
  const [a, b] = [numberOf(node.left), numberOf(node.right)];
  if (a === undefined || b === undefined) return undefined;
  if (node.operatorToken.kind === ts.SyntaxKind.AsteriskToken) return a * b;
  if (node.operatorToken.kind === ts.SyntaxKind.LessThanLessThanToken) return a * 2 ** b;
  if (node.operatorToken.kind === ts.SyntaxKind.BarToken) return Number(BigInt(a) | BigInt(b));
  return undefined;
}

/** One name holds the other as its last words, two at least: QUEUE_NOTIFY and VIRTIO_MMIO_QUEUE_NOTIFY. */
function sameName(a, b) {
  if (a === b) return true;
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.includes('_') && long.endsWith(`_${short}`);
}

export function constants(report) {
  const stale = protocolStale();
  if (stale !== undefined) report(stale);
  const sources = (areas) => areas.flatMap((area) => filesBelow(area, (name) => name.endsWith('.ts'))).map((path) => relative(root, path)).filter((file) => !file.startsWith('assembly/test/'));
  const core = sources(['assembly']).flatMap((file) => numbersOf(file).map((constant) => ({ ...constant, file })));
  const host = sources(['vmm', 'image', 'stage1', 'oci', 'bench', 'scripts']).flatMap((file) => numbersOf(file).map((constant) => ({ ...constant, file })));
  for (const { name, value, file, line } of [...core, ...host]) {
    if (ERRNO.has(name) && Math.abs(value) > 0 && file !== `${CONTRACT}generated/errno.ts`) report(`${file}:${line}: ${name} is typed by hand: import it from ${CONTRACT}generated/errno.ts (made by scripts/uapi.mjs)`);
  }
  for (const { name, value, file, line, above } of host) {
    if (file.includes('/generated/') || file.startsWith('vmm/host/uapi/')) continue;
    const twin = core.find((other) => other.value === value && sameName(other.name, name));
    if (twin !== undefined) report(`${file}:${line}: ${name} is ${twin.name} of ${twin.file}:${twin.line}: both take it from ${CONTRACT}`);
    else if (/\bassembly\/(?!contract)/.test(above)) report(`${file}:${line}: ${name} is a number of the core's, its comment says: take it from ${CONTRACT}`);
  }
}
