/** What a template of Go's says over a value (text/template, "Actions", "Pipelines"). */
import { isTrue, orderedKeys, show, templateError } from './go-functions.ts';
import type { Block, Expression, Node, Pipeline, Template } from './go-parse.ts';

/** How a field of a value is found, and functions are called: a table's heading has both of its own. */
export interface Meaning {
  field(value: unknown, name: string): unknown;
  /** The method of that name (Docker's rows have `.Label "x"`), or undefined. */
  method(value: unknown, name: string, args: readonly unknown[]): { readonly value: unknown } | undefined;
  call(name: string, args: readonly unknown[]): unknown;
}

class Stop extends Error {
  readonly kind: 'break' | 'continue';

  constructor(kind: 'break' | 'continue') {
    super(kind);
    this.kind = kind;
  }
}

interface Scope {
  readonly dot: unknown;
  readonly variables: Map<string, { value: unknown }>;
}

/** The text of a template over one value. Throws USAGE. */
export function runTemplate(template: Template, data: unknown, meaning: Meaning): string {
  const out: string[] = [];
  run(template, { dot: data, variables: new Map([['$', { value: data }]]) }, meaning, out);
  return out.join('');
}

function run(nodes: readonly Node[], scope: Scope, meaning: Meaning, out: string[]): void {
  for (const node of nodes) {
    if (node.kind === 'text') out.push(node.text);
    else if (node.kind === 'action') {
      const value = evaluate(node.pipeline.value, scope, meaning);
      if (node.pipeline.names.length === 0) out.push(show(value, true));
      else assign(node.pipeline, [value], scope);
    } else if (node.kind === 'break' || node.kind === 'continue') throw new Stop(node.kind);
    else if (node.kind === 'range') ranged(node, scope, meaning, out);
    else branched(node, scope, meaning, out);
  }
}

/** A block's variables end with it. */
function branched({ kind, pipeline, body, otherwise }: Block, { dot, variables }: Scope, meaning: Meaning, out: string[]): void {
  const inner: Scope = { dot, variables: new Map(variables) };
  const value = evaluate(pipeline.value, inner, meaning);
  assign(pipeline, [value], inner);
  if (isTrue(value)) run(body, kind === 'with' ? { ...inner, dot: value } : inner, meaning, out);
  else run(otherwise, inner, meaning, out);
}

function assign({ names, declares }: Pipeline, values: readonly unknown[], { variables }: Scope): void {
  for (const [i, name] of names.entries()) {
    const known = variables.get(name);
    if (declares || known === undefined) variables.set(name, { value: values[i] });
    else known.value = values[i];
  }
}

function ranged({ pipeline, body, otherwise }: Block, { dot, variables }: Scope, meaning: Meaning, out: string[]): void {
  const entries = entriesOf(evaluate(pipeline.value, { dot, variables }, meaning));
  if (entries.length === 0) run(otherwise, { dot, variables: new Map(variables) }, meaning, out);
  for (const [key, value] of entries) {
    const inner: Scope = { dot: value, variables: new Map(variables) };
    assign(pipeline, pipeline.names.length === 2 ? [key, value] : [value], inner);
    try {
      run(body, inner, meaning, out);
    } catch (cause) {
      if (!(cause instanceof Stop)) throw cause;
      if (cause.kind === 'break') return;
    }
  }
}

/** A list's by number, a map's in the order of its keys. */
function entriesOf(value: unknown): (readonly [unknown, unknown])[] {
  if (Array.isArray(value)) return [...value.entries()];
  if (value === null || value === undefined) return [];
  if (typeof value === 'object') return orderedKeys(value).map((key) => [key, (value as Record<string, unknown>)[key]] as const);
  throw templateError(`{{range}} goes over lists and maps, and not over ${show(value, false)}`);
}

function evaluate(expression: Expression, scope: Scope, meaning: Meaning): unknown {
  switch (expression.kind) {
    case 'value': return expression.value;
    case 'dot': return scope.dot;
    case 'variable': return scope.variables.get(expression.name)?.value;
    case 'field': return meaning.field(evaluate(expression.of, scope, meaning), expression.name);
    case 'function': return meaning.call(expression.name, []);
    case 'call': return called(expression, [], scope, meaning);
    default:
  }
  const [first, ...rest] = expression.commands;
  return rest.reduce((value, command) => called(command.kind === 'call' ? command : { kind: 'call', target: command, args: [] }, [value], scope, meaning), evaluate(first as Expression, scope, meaning));
}

/** `and` and `or` look at no more than they need. */
function called({ target, args }: Expression & { readonly kind: 'call' }, last: readonly unknown[], scope: Scope, meaning: Meaning): unknown {
  if (target.kind === 'function') {
    const wanted = target.name === 'and' ? false : target.name === 'or' ? true : undefined;
    const values: unknown[] = [];
    for (const arg of args) {
      const value = evaluate(arg, scope, meaning);
      if (wanted !== undefined && isTrue(value) === wanted) return value;
      values.push(value);
    }
    return meaning.call(target.name, [...values, ...last]);
  }
  if (target.kind === 'field') {
    const of = evaluate(target.of, scope, meaning);
    const found = meaning.method(of, target.name, [...args.map((arg) => evaluate(arg, scope, meaning)), ...last]);
    if (found !== undefined) return found.value;
  }
  throw templateError(`${target.kind === 'field' ? `.${target.name}` : 'what stands first'} takes no arguments`);
}
