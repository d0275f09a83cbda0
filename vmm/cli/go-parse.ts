/**
 * The part of Go's text/template (its package documentation; grammar and semantics by section names there) that `docker … --format` is used with:
 * fields, variables, pipelines, `if`, `range`, `with`, `else`, `break`, `continue`, trim markers, comments, and functions. `define`, `template` and
 * `block` are refused by name. Values are JSON's.
 */
import { templateError } from './go-functions.ts';

export type Expression =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'field'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'call'; readonly target: Expression; readonly args: readonly Expression[] }
  | { readonly kind: 'pipe'; readonly commands: readonly Expression[] };

export interface Pipeline {
  readonly value: Expression;
  /** Variables that it sets: `$x :=` (new ones) or `$x =`. */
  readonly names: readonly string[];
  readonly declares: boolean;
}

export interface Block {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | Block
  | { readonly kind: 'break' }
  | { readonly kind: 'continue' };

export type Template = readonly Node[];

/** Parentheses and blocks within one another: nobody's template has as many, and a stack ends. */
const MOST_DEEP = 100;
const TOKEN = /\s*(?:("(?:[^"\\\n]|\\.)*"|`[^`]*`)|('(?:[^'\\\n]|\\.)')|([+-]?(?:0[xX][\da-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))|(\$\w*)|(\.\w+)|(\.)|(:=|[=|(),])|([A-Za-z_]\w*))/y;
const KEYWORDS = new Set(['if', 'with', 'range', 'else', 'end', 'break', 'continue', 'define', 'template', 'block']);

interface Token {
  readonly kind: 'string' | 'char' | 'number' | 'variable' | 'field' | 'dot' | 'sign' | 'word';
  readonly text: string;
  /** White space stands before it: `.A .B` are two. */
  readonly apart: boolean;
}

const KINDS = ['string', 'char', 'number', 'variable', 'field', 'dot', 'sign', 'word'] as const;

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) throw templateError(`{{${source}}} is not understood at ${JSON.stringify(source.slice(at, at + 10))}`);
    const group = match.slice(1).findIndex((text) => text !== undefined);
    tokens.push({ kind: KINDS[group] as Token['kind'], text: match[group + 1] as string, apart: /^\s/.test(match[0]) });
  }
  return tokens;
}

/** Text and actions in turn. An action's white space neighbours are gone where it has `{{- ` or ` -}}`. */
function piecesOf(text: string): (string | { readonly action: string })[] {
  const pieces: (string | { readonly action: string })[] = [];
  let at = 0;
  for (let trim = false; ; ) {
    const open = text.indexOf('{{', at);
    const plain = text.slice(at, open < 0 ? undefined : open);
    const before = trim ? plain.trimStart() : plain;
    if (open < 0) return [...pieces, before];
    const left = /^\{\{-\s/.test(text.slice(open, open + 4));
    pieces.push(left ? before.trimEnd() : before);
    const start = open + (left ? 3 : 2);
    const comment = /^\s*\/\*[\s\S]*?\*\/\s*?(\s-)?\}\}/.exec(text.slice(start));
    const close = comment === null ? endOfAction(text, start) : start + comment[0].length - 2;
    trim = /\s-$/.test(text.slice(start, close));
    if (comment === null) pieces.push({ action: text.slice(start, trim ? close - 1 : close) });
    at = close + 2;
  }
}

/** Where `}}` stands that is in no string. */
function endOfAction(text: string, from: number): number {
  const part = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)'|\}\}/g;
  part.lastIndex = from;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) if (match[0] === '}}') return match.index;
  throw templateError(`${text.slice(from - 2, from + 30)} has no }}`);
}

/** Throws USAGE. */
export function parseTemplate(text: string): Template {
  return new Parser(piecesOf(text)).whole();
}

class Parser {
  readonly #pieces: readonly (string | { readonly action: string })[];
  #piece = 0;
  #tokens: readonly Token[] = [];
  #at = 0;
  #action = '';
  #depth = 0;
  /** Names that are known, innermost last. */
  readonly #names = ['$'];
  #loops = 0;

  constructor(pieces: readonly (string | { readonly action: string })[]) {
    this.#pieces = pieces;
  }

  whole(): Template {
    const { nodes, end } = this.#nodes();
    if (end !== undefined) throw templateError(`{{${end}}} closes nothing`);
    return nodes;
  }

  /** To the action that ends them, `end` or `else`; its tokens behind the word are left to read. */
  #nodes(): { readonly nodes: Node[]; readonly end: 'end' | 'else' | undefined } {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#piece++]; piece !== undefined; piece = this.#pieces[this.#piece++]) {
      if (typeof piece === 'string') {
        if (piece !== '') nodes.push({ kind: 'text', text: piece });
        continue;
      }
      this.#action = piece.action;
      this.#tokens = tokensOf(piece.action);
      this.#at = 0;
      const word = this.#peek()?.kind === 'word' ? this.#peek()?.text : undefined;
      if (word === 'end' || word === 'else') {
        this.#at++;
        if (word === 'end') this.#finish();
        return { nodes, end: word };
      }
      nodes.push(this.#node(word));
    }
    return { nodes, end: undefined };
  }

  #node(word: string | undefined): Node {
    if (word === 'if' || word === 'with' || word === 'range') {
      this.#at++;
      return this.#block(word);
    }
    if (word === 'break' || word === 'continue') {
      this.#at++;
      this.#finish();
      if (this.#loops === 0) throw templateError(`{{${word}}} is in no {{range}}`);
      return { kind: word };
    }
    if (word !== undefined && KEYWORDS.has(word)) throw templateError(`{{${word}}} is not supported`);
    const pipeline = this.#pipeline(1);
    this.#finish();
    return { kind: 'action', pipeline };
  }

  #block(kind: 'if' | 'with' | 'range'): Node {
    const known = this.#names.length;
    return this.#deeper(() => {
      const pipeline = this.#pipeline(kind === 'range' ? 2 : 1);
      this.#finish();
      const loops = this.#loops;
      if (kind === 'range') this.#loops++;
      const { nodes: body, end } = this.#nodes();
      this.#loops = loops;
      if (end === undefined) throw templateError(`{{${kind}}} has no {{end}}`);
      const otherwise = end === 'else' ? this.#otherwise(kind) : [];
      this.#names.length = known;
      return { kind, pipeline, body, otherwise };
    });
  }

  /** Behind `else`: what there is to `end`, or one more `if` (`with`), which takes that end. */
  #otherwise(kind: 'if' | 'with' | 'range'): readonly Node[] {
    if (this.#at < this.#tokens.length) {
      if (kind === 'range' || this.#peek()?.text !== kind) throw templateError(`{{${this.#action.trim()}}} is not understood`);
      this.#at++;
      return [this.#block(kind)];
    }
    const { nodes, end } = this.#nodes();
    if (end !== 'end') throw templateError(end === undefined ? `{{${kind}}} has no {{end}}` : `{{${kind}}} has a second {{else}}`);
    return nodes;
  }

  #pipeline(most: 1 | 2): Pipeline {
    const names = this.#assigned(most);
    const value = this.#pipe();
    if (names?.declares) this.#names.push(...names.list);
    return { value, names: names?.list ?? [], declares: names?.declares ?? false };
  }

  /** `$x :=`, `$x =`, of range `$k, $v :=` also. */
  #assigned(most: 1 | 2): { readonly list: string[]; readonly declares: boolean } | undefined {
    const start = this.#at;
    const list: string[] = [];
    while (this.#peek()?.kind === 'variable' && list.length < most) {
      list.push(this.#next().text);
      if (this.#peek()?.text !== ',') break;
      this.#at++;
    }
    const sign = this.#peek()?.text;
    if (list.length > 0 && (sign === ':=' || sign === '=')) {
      this.#at++;
      if (sign === '=') for (const name of list) this.#known(name);
      return { list, declares: sign === ':=' };
    }
    this.#at = start;
    return undefined;
  }

  #pipe(): Expression {
    return this.#deeper(() => {
      const commands = [this.#command()];
      while (this.#peek()?.text === '|' && this.#peek()?.kind === 'sign') {
        this.#at++;
        commands.push(this.#command());
      }
      return commands.length === 1 ? (commands[0] as Expression) : { kind: 'pipe', commands };
    });
  }

  #command(): Expression {
    const target = this.#operand();
    const args: Expression[] = [];
    while (this.#at < this.#tokens.length && !/^[|)]$/.test(this.#peek()?.text ?? '')) args.push(this.#operand());
    return args.length === 0 && target.kind !== 'function' ? target : { kind: 'call', target, args };
  }

  #operand(): Expression {
    let one = this.#term();
    while (this.#peek()?.kind === 'field' && !this.#peek()?.apart) one = { kind: 'field', of: one, name: this.#next().text.slice(1) };
    return one;
  }

  #term(): Expression {
    const token = this.#next();
    switch (token.kind) {
      case 'string': return { kind: 'value', value: stringOf(token.text) };
      case 'char': return { kind: 'value', value: stringOf(`"${token.text.slice(1, -1).replace('"', '\\"')}"`).codePointAt(0) };
      case 'number': return { kind: 'value', value: Number(token.text) };
      case 'variable': return { kind: 'variable', name: this.#known(token.text) };
      case 'field': return { kind: 'field', of: { kind: 'dot' }, name: token.text.slice(1) };
      case 'dot': return { kind: 'dot' };
      case 'word': return this.#word(token.text);
      default:
    }
    if (token.text !== '(') throw templateError(`{{${this.#action.trim()}}}: ${token.text} is not expected there`);
    const inner = this.#pipe();
    if (this.#next().text !== ')') throw templateError(`{{${this.#action.trim()}}} has no )`);
    return inner.kind === 'call' ? { kind: 'pipe', commands: [inner] } : inner;
  }

  #word(text: string): Expression {
    if (text === 'true' || text === 'false') return { kind: 'value', value: text === 'true' };
    if (text === 'nil') return { kind: 'value', value: null };
    if (KEYWORDS.has(text)) throw templateError(`{{${this.#action.trim()}}}: ${text} is not expected there`);
    return { kind: 'function', name: text };
  }

  #known(name: string): string {
    if (!this.#names.includes(name)) throw templateError(`${name} is not set`);
    return name;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #next(): Token {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw templateError(`{{${this.#action.trim()}}} lacks something at its end`);
    return token;
  }

  #finish(): void {
    const token = this.#tokens[this.#at];
    if (token !== undefined) throw templateError(`{{${this.#action.trim()}}}: ${token.text} is not expected there`);
  }

  #deeper<Value>(read: () => Value): Value {
    if (++this.#depth > MOST_DEEP) throw templateError(`more than ${MOST_DEEP} parentheses and blocks are within one another`);
    const value = read();
    this.#depth--;
    return value;
  }
}

/** A string of Go's: raw, or with its escapes. */
function stringOf(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  const named: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };
  return text.slice(1, -1).replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{3}|.)/g, (_, code: string) => {
    if (/^[xuU]./.test(code)) return String.fromCodePoint(Math.min(Number.parseInt(code.slice(1), 16), 0x10ffff));
    return /^[0-7]{3}$/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (named[code] ?? code);
  });
}
