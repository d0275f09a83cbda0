import { VmmError } from '../api/errors.ts';

/** Longest line of an error, characters: texts of a hostile image may be in it. */
const MAX_LINE = 2000;

/** One clear line: what failed, why, what to do. A defect of ours keeps its stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof VmmError)) return `vmm: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`;
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  return `${oneLine(`vmm: ${error.message}${hint}`)} [${error.code}]\n`;
}

/** Text from a user, an image or a guest for a line on the terminal: control and formatting characters are shown, not sent. */
export function oneLine(text: string): string {
  const shown = text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}…` : text;
  return shown.replace(/[\p{C}\u2028\u2029]/gu, (c) => (c === '\n' ? '\\n' : `\\u{${(c.codePointAt(0) as number).toString(16)}}`));
}

const CONTROL = /(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** As Docker prints what it knows. Control and formatting characters, which an image may have in its texts, are escapes, as JSON allows. */
export function jsonText(value: unknown): string {
  const escaped = (text: string): string => [...Array(text.length).keys()].map((i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
  return `${JSON.stringify(value, null, 4).replace(CONTROL, escaped)}\n`;
}

/** What a template made of an image's texts: on a terminal such characters are shown, not sent; elsewhere it stays as it is. */
export function forTerminal(text: string, isTerminal = process.stdout.isTTY): string {
  return isTerminal ? text.replace(CONTROL, (c) => (c === '\t' ? c : `\\u{${(c.codePointAt(0) as number).toString(16)}}`)) : text;
}

/**
 * Lines that the guest wrote, for a terminal: each is marked, so that none passes for one of vmm's, and shown as `oneLine`
 * does. '' for nothing.
 */
export function guestLines(text: string): string {
  const lines = text.split(/\r*\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => `guest: ${oneLine(line.replaceAll('\t', '    '))}\n`).join('');
}
