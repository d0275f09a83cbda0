/**
 * Makes the rooms' generated/ from opmap.txt and the templates below: run `node assembly/cpu/generate/generate.mjs` after a
 * change. optab.ts: the decoder's tables. ops.ts: numbers of micro-ops, their flag behaviour. interp.ts: the dispatcher.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeInterp } from './interp.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const HEAD = '// Made by assembly/cpu/generate/generate.mjs: do not edit.\n';

const ALU = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP', 'TEST'];
const SHIFT = ['ROL', 'ROR', 'RCL', 'RCR', 'SHL', 'SHR', 'SAL', 'SAR'];
const SEG = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5 };
const FORM = { NONE: 0, EG: 1, GE: 2, AI: 3, EI: 4, E1: 5, ECL: 6, Z: 7, E: 8, ZI: 9 };
const IMM = { NONE: 0, IB: 1, UB: 2, IW: 3, IZ: 4, IV: 5, AP: 6, MOFFS: 7, IWIB: 8 };
const FLAG = {
  MODRM: 1, BYTE: 2, D64: 4, F64: 8, I64: 0x10, O64: 0x20, LOCK: 0x40, MEM: 0x80, END: 0x100, START: 0x200, V2: 0x400, REG: 0x800,
};

/** Rows of opmap.txt as objects; the test-vector generator reads them too. */
export function readOpmap() {
  const rows = [];
  for (const line of readFileSync(join(here, 'opmap.txt'), 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [map, prefix, code, mnemonic, operands, ...attributes] = line.split(' ');
    const [range, digit] = code.split('/');
    const [lo, hi] = range.split('-').map((x) => Number.parseInt(x, 16));
    rows.push({
      map, prefix, lo, hi: hi ?? lo, digit: digit === undefined ? -1 : Number(digit), mnemonic,
      operands: operands === undefined || operands === '-' ? [] : operands.split(','), attributes,
    });
  }
  return rows;
}

const kinds = new Map([['NONE', 0], ['GROUP', 1], ['SSE', 2], ['ALU', 3], ['SHIFT', 4]]);
function kind(name) {
  if (!kinds.has(name)) kinds.set(name, kinds.size);
  return kinds.get(name);
}

function entry(row) {
  const ops = row.operands;
  const [o0 = '', o1 = ''] = ops;
  let k = row.mnemonic;
  let sub = 0;
  if (ALU.includes(k)) { sub = ALU.indexOf(k); k = 'ALU'; }
  else if (SHIFT.includes(k)) { sub = SHIFT.indexOf(k); k = 'SHIFT'; }
  else if (['BT', 'BTS', 'BTR', 'BTC'].includes(k)) { sub = ['BT', 'BTS', 'BTR', 'BTC'].indexOf(k); k = 'BT'; }
  else if (k === 'PUSHSEG' || k === 'POPSEG') sub = SEG[o0];
  else if (k === 'LSEG') sub = { 0xc4: 0, 0xc5: 3, 0xb2: 2, 0xb4: 4, 0xb5: 5 }[row.lo];
  else if (k === 'MOVOFFS') sub = o0[0] === 'O' ? 1 : 0;
  else if (k === 'INC' || k === 'DEC' || k === 'NOT' || k === 'NEG') { sub = ['INC', 'DEC', 'NOT', 'NEG'].indexOf(k); k = 'UNARY'; }
  else if (['MUL', 'IMUL1', 'DIV', 'IDIV'].includes(k)) { sub = ['MUL', 'IMUL1', 'DIV', 'IDIV'].indexOf(k); k = 'MULDIV'; }
  else if (['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS', 'INS', 'OUTS'].includes(k)) {
    sub = ['MOVS', 'CMPS', 'STOS', 'LODS', 'SCAS', 'INS', 'OUTS'].indexOf(k);
    k = 'STRING';
  } else if (k === 'MOVZX' || k === 'MOVSX') sub = o1 === 'Eb' ? 0 : 1;
  else if (k === 'UD0' || k === 'UD1' || k === 'UD2') k = 'UD';
  else if (k === 'SHLD' || k === 'SHRD') { sub = (k === 'SHRD' ? 1 : 0) | (ops[2] === 'CL' ? 2 : 0); k = 'SHXD'; }
  else if (k === 'BSF' || k === 'BSR') { sub = k === 'BSR' ? 1 : 0; k = 'BSX'; }

  let flags = 0;
  if (row.digit >= 0 || ops.some((o) => 'EGMRSCDUN'.includes(o[0]) && !['ES', 'GS', 'DS', 'CS', 'SS', 'CL', 'DX', 'Ub'].includes(o))) flags |= FLAG.MODRM;
  if (ops.some((o) => o[0] === 'M')) flags |= FLAG.MEM;
  if (/^([EGOZ]b|AL|b)$/.test(o0) || (k === 'MOVOFFS' && o1 === 'AL') || (o0 === 'DX' && o1 === 'AL') || (o0 === 'Ub' && o1 === 'AL')) flags |= FLAG.BYTE;
  for (const a of row.attributes) flags |= FLAG[a.toUpperCase()] ?? bad(row, a);

  let imm = IMM.NONE;
  for (const o of ops) {
    if (o === 'Ib' || o === 'Jb') imm = IMM.IB;
    else if (o === 'Ub') imm = imm === IMM.IW ? IMM.IWIB : IMM.UB;
    else if (o === 'Iw') imm = IMM.IW;
    else if (o === 'Iz' || o === 'Jz') imm = IMM.IZ;
    else if (o === 'Iv') imm = IMM.IV;
    else if (o === 'Ap') imm = IMM.AP;
    else if (o[0] === 'O' && o.length === 2) imm = IMM.MOFFS;
  }
  let form = FORM.NONE;
  if (o0[0] === 'E' && o0 !== 'ES') {
    if (o1[0] === 'G') form = FORM.EG;
    else if (o1[0] === 'I' || o1 === 'Ub') form = FORM.EI;
    else if (o1 === '1') form = FORM.E1;
    else if (o1 === 'CL') form = FORM.ECL;
    else form = FORM.E;
  } else if (o0[0] === 'G' && o0 !== 'GS') form = FORM.GE;
  else if (o0[0] === 'Z') form = o1[0] === 'I' ? FORM.ZI : FORM.Z;
  else if ((o0 === 'AL' || o0 === 'rAX') && o1[0] === 'I') form = FORM.AI;
  return { w0: kind(k) | (sub << 8) | (form << 16) | (imm << 24), w1: flags };
}

function bad(row, what) {
  throw new Error(`opmap.txt: ${row.map} ${row.lo.toString(16)} ${row.mnemonic}: unknown ${what}`);
}

function makeOptab(rows) {
  const one = Array.from({ length: 512 }, () => 0);
  const two = Array.from({ length: 512 }, () => 0);
  const groups = [];
  const groupOf = new Map();
  const SSE_PREFIX = { np: 0, 66: 1, F3: 2, F2: 3 };
  const sse = { 2: Array.from({ length: 256 }, () => 0), 38: Array.from({ length: 256 }, () => 0), '3A': Array.from({ length: 256 }, () => 0) };
  const sseDigits = Array.from({ length: 3 * 8 }, () => 0); // 0F 71..73: prefix mask of each digit
  for (const row of rows) {
    if (row.prefix !== '-') {
      const t = sse[row.map];
      const regOnly = row.operands.some((o) => 'UN'.includes(o[0]));
      const memOnly = row.operands.some((o) => o[0] === 'M');
      for (const p of row.prefix.split(',')) {
        const bit = 1 << SSE_PREFIX[p];
        if (!memOnly) t[row.lo] |= bit;
        if (!regOnly) t[row.lo] |= bit << 4;
        if (row.attributes.includes('v2')) t[row.lo] |= bit << 8;
        if (row.digit >= 0) sseDigits[(row.lo - 0x71) * 8 + row.digit] |= bit;
      }
      if (row.operands.includes('Ib')) t[row.lo] |= 0x1000;
      if (row.operands.length > 0) t[row.lo] |= 0x2000;
      if (row.map === '2') { two[row.lo * 2] = 2; two[row.lo * 2 + 1] = row.operands.length > 0 ? FLAG.MODRM : 0; }
      continue;
    }
    if (row.map !== '1' && row.map !== '2') continue; // CRC32: by hand
    const t = row.map === '1' ? one : two;
    const { w0, w1 } = entry(row);
    for (let op = row.lo; op <= row.hi; op++) {
      if (row.digit < 0) { t[op * 2] = w0; t[op * 2 + 1] = w1; continue; }
      const key = `${row.map}.${op}`;
      if (!groupOf.has(key)) {
        groupOf.set(key, groups.length / 16);
        for (let i = 0; i < 16; i++) groups.push(0);
      }
      const g = groupOf.get(key);
      groups[g * 16 + row.digit * 2] = w0;
      groups[g * 16 + row.digit * 2 + 1] = w1;
      t[op * 2] = 1 | (g << 8);
      t[op * 2 + 1] = FLAG.MODRM;
    }
  }
  const arr = (name, type, a) => `export const ${name}: StaticArray<${type}> = [\n${chunk(a).join('\n')}\n];\n`;
  let s = `${HEAD}
// An entry is two words: kind | sub << 8 | form << 16 | imm << 24, then F_* flags.
`;
  for (const [k, v] of kinds) s += `export const K_${k}: u32 = ${v};\n`;
  for (const [k, v] of Object.entries(FORM)) s += `export const FORM_${k}: u32 = ${v};\n`;
  for (const [k, v] of Object.entries(IMM)) s += `export const IMM_${k}: u32 = ${v};\n`;
  for (const [k, v] of Object.entries(FLAG)) s += `export const F_${k}: u32 = 0x${v.toString(16)};\n`;
  s += '\n' + arr('MAP_ONE', 'u32', one) + arr('MAP_TWO', 'u32', two) + arr('GROUPS', 'u32', groups);
  s += '\n// bits 0..3 prefixes (none, 66, F3, F2) valid with a register, 4..7 with memory, 8..11 only in the x86-64-v2 model,\n// 12 immediate byte, 13 modrm\n';
  s += arr('SSE_0F', 'u16', sse[2]) + arr('SSE_38', 'u16', sse[38]) + arr('SSE_3A', 'u16', sse['3A']);
  s += '\n// prefixes valid for each modrm.reg of 0F 71, 72, 73\n' + arr('SSE_SHIFTS', 'u8', sseDigits);
  return s;
}

function chunk(a) {
  const out = [];
  for (let i = 0; i < a.length; i += 16) out.push(`  ${a.slice(i, i + 16).map((x) => `0x${x.toString(16)}`).join(', ')},`);
  return out;
}

/** The generated files' texts, by path below assembly/cpu. */
export function generateAll() {
  const rows = readOpmap();
  const { ops, interp, uops } = makeInterp(HEAD);
  return { 'decode/generated/optab.ts': makeOptab(rows), 'uop/generated/ops.ts': ops, 'execute/generated/interp.ts': interp, '../../vmm/jit/uop-table.ts': uops };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(generateAll())) writeFileSync(join(here, '..', path), text);
}
