/** Arithmetic and logic of 32 and 64 bits, 8-bit compares, shifts, conditions. Forms `_NF` leave the flags, which nobody would read. */
import { A, ALU, B, calculate, FAULTS, NEXT, READS, read, setA, SUB_CONDITIONS, WIDTHS, WRITES } from './text.mjs';

const isCompare = (k) => k === 'CMP' || k === 'TEST';
const isCarry = (k) => k === 'ADC' || k === 'SBB';

/** Register destination: with flags, then, in the same order, without. */
function registerAlu(op, withoutFlags) {
  for (const nf of [false, true]) {
    for (const form of ['RR', 'RI', 'RM']) {
      for (const k of ALU) {
        for (const w of WIDTHS) {
          const name = `${k}_${form}${w.bits}${nf ? '_NF' : ''}`;
          if (nf && isCarry(k)) continue;
          if (!nf && !isCarry(k)) withoutFlags(name, `${name}_NF`);
          const compare = isCompare(k);
          const save = compare ? '' : setA(w);
          const attr = (nf ? 0 : WRITES) | (isCarry(k) ? READS : 0) | (form === 'RM' ? FAULTS : 0);
          const sem = { kind: 'alu', op: k, form, bits: w.bits, flags: !nf, uses: { RR: 'a b', RI: 'a', RM: 'a m' }[form], sets: compare ? '' : 'a' };
          let body;
          if (form === 'RM') body = `{ ${read(w.t, w.s, 'ea(cpu, u)', true)} ${nf && compare ? '' : `const b = v; const a = load<${w.t}>(${A}); ${calculate(k, w, !nf)} ${save}`} ${NEXT} }`;
          else if (nf && compare) body = NEXT;
          else body = `{ const a = load<${w.t}>(${A}); const b = ${form === 'RR' ? `load<${w.t}>(${B})` : `<${w.t}>load<i32>(u, U_DISP)`}; ${calculate(k, w, !nf)} ${save} ${NEXT} }`;
          op(name, attr, sem, body);
        }
      }
    }
  }
}

/** Memory destination: the page is probed for writing first. */
function memoryAlu(op) {
  for (const form of ['MR', 'MI']) {
    for (const k of ALU) {
      for (const w of WIDTHS) {
        const b = form === 'MR' ? `load<${w.t}>(${A})` : `<${w.t}>load<i32>(u, U_IMM)`;
        const sem = { kind: 'alu_mem', op: k, form, bits: w.bits, flags: true, uses: form === 'MR' ? 'a m' : 'm' };
        const name = `${k}_${form}${w.bits}`;
        if (isCompare(k)) op(name, WRITES | FAULTS, sem, `{ ${read(w.t, w.s, 'ea(cpu, u)', true)} const a = v; const b = ${b}; ${calculate(k, w, true)} ${NEXT} }`);
        else op(name, WRITES | FAULTS | (isCarry(k) ? READS : 0), sem, `{ const va = ea(cpu, u); const p = ptr_rw(cpu, va, ${w.s}); if (p == 0) break;
        const a = load<${w.t}>(p); const b = ${b}; ${calculate(k, w, true)} store<${w.t}>(p, r); ptr_w_done(cpu, p, va, ${w.s}); if (load<u32>(cpu, FAULT)) break; ${NEXT} }`);
      }
    }
  }
}

function compare8(op) {
  for (const k of ['CMP', 'TEST']) {
    const calculate8 = k === 'CMP' ? 'flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b);' : 'flags_logic(cpu, <i64>(a & b));';
    const sem = (form, uses) => ({ kind: 'cmp8', op: k, form, flags: true, uses });
    const memory = read('i32', 1, 'ea(cpu, u)', true);
    op(`${k}_RR8`, WRITES, sem('RR', 'a b'), `{ const a = <i32>load<i8>(${A}); const b = <i32>load<i8>(${B}); ${calculate8} ${NEXT} }`);
    op(`${k}_RI8`, WRITES, sem('RI', 'a'), `{ const a = <i32>load<i8>(${A}); const b = <i32>load<i8>(u, U_DISP); ${calculate8} ${NEXT} }`);
    op(`${k}_RM8`, WRITES | FAULTS, sem('RM', 'a m'), `{ ${memory} const b = v; const a = <i32>load<i8>(${A}); ${calculate8} ${NEXT} }`);
    op(`${k}_MR8`, WRITES | FAULTS, sem('MR', 'a m'), `{ ${memory} const a = v; const b = <i32>load<i8>(${A}); ${calculate8} ${NEXT} }`);
    op(`${k}_MI8`, WRITES | FAULTS, sem('MI', 'm'), `{ ${memory} const a = v; const b = <i32>load<i8>(u, U_IMM); ${calculate8} ${NEXT} }`);
  }
}

function unary(op, withoutFlags, w) {
  const sx = w.bits === 64 ? '' : '<i64>';
  const sem = (kind, k, flags) => ({ kind, op: k, bits: w.bits, flags, uses: 'a', sets: 'a' });
  op(`INC_R${w.bits}`, WRITES | READS, sem('incdec', 'INC', true), `{ const a = load<${w.t}>(${A}); const r = a + 1; flags_lazy(cpu, FLAG_INC, ${sx}r, ${sx}a, get_cf(cpu)); ${setA(w)} ${NEXT} }`);
  for (const k of ['INC', 'DEC']) withoutFlags(`${k}_R${w.bits}`, `ADD_RI${w.bits}_NF`);
  withoutFlags(`NEG_R${w.bits}`, `NEG_R${w.bits}_NF`);
  op(`DEC_R${w.bits}`, WRITES | READS, sem('incdec', 'DEC', true), `{ const a = load<${w.t}>(${A}); const r = a - 1; flags_lazy(cpu, FLAG_DEC, ${sx}r, ${sx}a, get_cf(cpu)); ${setA(w)} ${NEXT} }`);
  op(`NEG_R${w.bits}`, WRITES, sem('neg', undefined, true), `{ const a: ${w.t} = 0; const b = load<${w.t}>(${A}); const r = -b; flags_lazy(cpu, FLAG_SUB, ${sx}r, 0, ${sx}b); ${setA(w)} ${NEXT} }`);
  op(`NEG_R${w.bits}_NF`, 0, sem('neg', undefined, false), `{ const r = -load<${w.t}>(${A}); ${setA(w)} ${NEXT} }`);
  op(`NOT_R${w.bits}`, 0, sem('not'), `{ const r = ~load<${w.t}>(${A}); ${setA(w)} ${NEXT} }`);
}

/** Shifts and rotates by an immediate count of 1 … size - 1. */
function shifts(op, withoutFlags, w) {
  const sx = w.bits === 64 ? '' : '<i64>';
  const n = 'load<u32>(u, U_DISP)';
  const sem = (kind, k, flags) => ({ kind, op: k, bits: w.bits, flags, uses: 'a', sets: 'a' });
  const shift = (k, r, cf, of) => {
    withoutFlags(`${k}_RI${w.bits}`, `${k}_RI${w.bits}_NF`);
    for (const nf of [false, true]) {
      const flags = nf ? '' : `flags_lazy(cpu, FLAG_SHIFT, ${sx}r, <u64>(${cf}), <u64>(${of}));`;
      op(`${k}_RI${w.bits}${nf ? '_NF' : ''}`, nf ? 0 : WRITES, sem('shift', k, !nf), `{ const a = load<${w.u}>(${A}); const n: ${w.u} = ${n}; const r = <${w.t}>(${r}); ${flags} ${setA(w)} ${NEXT} }`);
    }
  };
  shift('SHL', 'a << n', `(a >> (${w.bits} - n)) & 1`, `((a >> (${w.bits} - n)) ^ (<${w.u}>r >> ${w.bits - 1})) & 1`);
  shift('SHR', 'a >> n', '(a >> (n - 1)) & 1', `a >> ${w.bits - 1}`);
  shift('SAR', `<${w.t}>a >> <${w.t}>n`, `(<${w.t}>a >> <${w.t}>(n - 1)) & 1`, '0');
  const rotl = `const r = <${w.t}>rotl<${w.u}>(load<${w.u}>(${A}), ${n});`;
  const rotr = `const r = <${w.t}>rotr<${w.u}>(load<${w.u}>(${A}), ${n});`;
  op(`ROL_RI${w.bits}`, READS, sem('rotate', 'ROL', true), `{ ${rotl} const cf = <u32>r & 1; flags_over(cpu, cf, <u32>(<${w.u}>r >> ${w.bits - 1}) ^ cf); ${setA(w)} ${NEXT} }`);
  op(`ROR_RI${w.bits}`, READS, sem('rotate', 'ROR', true), `{ ${rotr} const cf = <u32>(<${w.u}>r >> ${w.bits - 1}); flags_over(cpu, cf, cf ^ (<u32>(<${w.u}>r >> ${w.bits - 2}) & 1)); ${setA(w)} ${NEXT} }`);
  op(`ROR_RI${w.bits}_NF`, 0, sem('rotate', 'ROR', false), `{ ${rotr} ${setA(w)} ${NEXT} }`);
  withoutFlags(`ROL_RI${w.bits}`, `ROL_RI${w.bits}_NF`);
  withoutFlags(`ROR_RI${w.bits}`, `ROR_RI${w.bits}_NF`);
  op(`ROL_RI${w.bits}_NF`, 0, sem('rotate', 'ROL', false), `{ ${rotl} ${setA(w)} ${NEXT} }`);
}

function multiply(op, withoutFlags) {
  const product = (a, b) => `{ const p = <i64>${a} * <i64>${b}; const r = <i32>p; const c = <u64>(p != <i64>r); flags_lazy(cpu, FLAG_SHIFT, <i64>r, c, c); store<u64>(${A}, <u64><u32>r); ${NEXT} }`;
  const sem = (form, bits, flags) => ({
    kind: bits === 64 && flags ? 'imul64' : 'imul', form, bits, flags, uses: form === 'RR' ? 'a b' : 'b', sets: 'a',
  });
  op('IMUL_RR32', WRITES, sem('RR', 32, true), product(`load<i32>(${A})`, `load<i32>(${B})`));
  op('IMUL_RR64', WRITES, sem('RR', 64, true), `imul64(cpu, ${A}, load<u64>(${A}), load<u64>(${B})); ${NEXT}`);
  op('IMUL_RI32', WRITES, sem('RI', 32, true), product(`load<i32>(${B})`, 'load<i32>(u, U_DISP)'));
  op('IMUL_RI64', WRITES, sem('RI', 64, true), `imul64(cpu, ${A}, load<u64>(${B}), <i64>load<i32>(u, U_DISP)); ${NEXT}`);
  for (const w of WIDTHS) {
    op(`IMUL_RR${w.bits}_NF`, 0, sem('RR', w.bits, false), `{ const r = load<${w.t}>(${A}) * load<${w.t}>(${B}); ${setA(w)} ${NEXT} }`);
    op(`IMUL_RI${w.bits}_NF`, 0, sem('RI', w.bits, false), `{ const r = load<${w.t}>(${B}) * <${w.t}>load<i32>(u, U_DISP); ${setA(w)} ${NEXT} }`);
    for (const form of ['RR', 'RI']) withoutFlags(`IMUL_${form}${w.bits}`, `IMUL_${form}${w.bits}_NF`);
  }
}

function conditions(op) {
  const set = (cond, cc) => ({ kind: 'setcc', cond, cc, uses: 'a', sets: 'a' });
  const sub = ([t, o]) => `load<${t}>(cpu, FLAG_A) ${o} load<${t}>(cpu, FLAG_B)`;
  op('SETCC_R', READS, set('any'), `store<u8>(${A}, cond(cpu, load<u8>(u, U_B)) ? 1 : 0); ${NEXT}`);
  for (const [c, how] of Object.entries(SUB_CONDITIONS)) op(`SETCC_SUB_${c}`, READS, set('sub', c), `store<u8>(${A}, ${sub(how)} ? 1 : 0); ${NEXT}`);
  op('SETCC_Z', READS, set('res', 'Z'), `store<u8>(${A}, load<u64>(cpu, FLAG_RES) == 0 ? 1 : 0); ${NEXT}`);
  op('SETCC_NZ', READS, set('res', 'NZ'), `store<u8>(${A}, load<u64>(cpu, FLAG_RES) != 0 ? 1 : 0); ${NEXT}`);
  const cmov = (cond, cc, bits) => ({ kind: 'cmov', cond, cc, bits, uses: 'a b', sets: 'a' });
  op('CMOV_RR32', READS, cmov('any', undefined, 32), `store<u64>(${A}, <u64>(cond(cpu, load<u8>(u, U_DISP)) ? load<u32>(${B}) : load<u32>(${A}))); ${NEXT}`);
  for (const w of WIDTHS) {
    // 32 bits clear the upper half even when nothing moves
    const move = (c) => (w.bits === 64 ? `if (${c}) store<u64>(${A}, load<u64>(${B})); ${NEXT}` : `store<u64>(${A}, <u64>(${c} ? load<u32>(${B}) : load<u32>(${A}))); ${NEXT}`);
    op(`CMOV_RES_Z${w.bits}`, READS, cmov('res', 'Z', w.bits), move('load<u64>(cpu, FLAG_RES) == 0'));
    op(`CMOV_RES_NZ${w.bits}`, READS, cmov('res', 'NZ', w.bits), move('load<u64>(cpu, FLAG_RES) != 0'));
    for (const [c, how] of Object.entries(SUB_CONDITIONS)) op(`CMOV_SUB_${c}${w.bits}`, READS, cmov('sub', c, w.bits), move(sub(how)));
  }
  op('CMOV_RR64', READS, cmov('any', undefined, 64), `if (cond(cpu, load<u8>(u, U_DISP))) store<u64>(${A}, load<u64>(${B})); ${NEXT}`);
}

/** `withoutFlags(name, other)`: where nobody reads the flags, `other` does it. */
export function integerOps(op, withoutFlags) {
  registerAlu(op, withoutFlags);
  memoryAlu(op);
  compare8(op);
  for (const w of WIDTHS) {
    unary(op, withoutFlags, w);
    shifts(op, withoutFlags, w);
  }
  multiply(op, withoutFlags);
  conditions(op);
}
