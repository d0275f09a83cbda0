/** Puts function bodies into a WebAssembly module (WebAssembly core specification 2.0, section 5.5; the branch hinting proposal for the hints). */
import { Code } from './code.ts';
import { HELPERS, TYPES } from './helpers.ts';

/** Groups of locals behind a function's parameters: [how many, type]. */
export type Locals = readonly (readonly [number, number])[];

export interface Body {
  readonly locals: Locals;
  readonly code: Uint8Array;
  /** Code's, of the bytes in `code`. */
  readonly hints: readonly number[];
}

const MAGIC = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
/** Index of the type of all regions in TYPES. */
export const REGION_TYPE = 0;
const MEMORY_MAX_PAGES = 65536;

function section(out: Code, id: number, content: Code): void {
  out.op(id).u(content.length).append(content.bytes.subarray(0, content.length));
}

function text(out: Code, value: string): Code {
  out.u(value.length);
  for (let i = 0; i < value.length; i++) out.op(value.charCodeAt(i));
  return out;
}

/** Sections before the code that do not depend on what the functions do. */
function head(out: Code, functions: number): void {
  out.append(MAGIC);
  const types = new Code(512).u(TYPES.length);
  for (const [parameters, results] of TYPES) {
    types.op(0x60).u(parameters.length).append(Uint8Array.from(parameters)).u(results.length).append(Uint8Array.from(results));
  }
  section(out, 1, types);
  const imports = new Code(2048).u(HELPERS.length + 2);
  for (const { name, type } of HELPERS) text(text(imports, 'c'), name).op(0).u(type);
  text(text(imports, 'c'), 'memory').op2(2, 3).u(0).u(MEMORY_MAX_PAGES);
  text(text(imports, 'c'), 'table').op2(1, 0x70).op(0).u(0);
  section(out, 2, imports);
  const signatures = new Code(256).u(functions);
  for (let i = 0; i < functions; i++) signatures.u(REGION_TYPE);
  section(out, 3, signatures);
  const exports = new Code(512).u(functions);
  for (let i = 0; i < functions; i++) text(exports, `f${i}`).op(0).u(HELPERS.length + i);
  section(out, 7, exports);
}

/** A module that exports its functions as f0, f1, … and imports memory, table and helpers from `c`. */
export function makeModule(bodies: readonly Body[]): Uint8Array {
  const out = new Code(65536);
  head(out, bodies.length);
  const code = new Code(65536).u(bodies.length);
  const hints = text(new Code(4096), 'metadata.code.branch_hint').u(bodies.length);
  const locals = new Code(64);
  for (const [i, body] of bodies.entries()) {
    locals.clear();
    locals.u(body.locals.length);
    for (const [count, type] of body.locals) locals.u(count).op(type);
    hints.u(HELPERS.length + i).u(body.hints.length / 2);
    for (let h = 0; h < body.hints.length; h += 2) hints.u(locals.length + (body.hints[h] as number)).u(1).op(body.hints[h + 1] as number);
    code.u(locals.length + body.code.length).append(locals.bytes.subarray(0, locals.length)).append(body.code);
  }
  section(out, 0, hints);
  section(out, 10, code);
  return out.bytes.slice(0, out.length);
}
