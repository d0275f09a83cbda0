/**
 * Templates of the dispatcher: which micro-ops exist, what each does, how it treats the flags. Used by generate.mjs.
 *
 * Inside a case: `u` is the micro-op, `tlb` the TLB table. `continue` goes to the next micro-op, `break` leaves the
 * loop: with `link` set over a direct link, with `how` = 1 to `target`, with `how` = 2 to cpu.rip, else by cpu.fault.
 */
const W = [
  { bits: 32, t: 'i32', u: 'u32', s: 4 },
  { bits: 64, t: 'i64', u: 'u64', s: 8 },
];
const ALU = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP', 'TEST'];
const OPER = { ADD: '+', OR: '|', AND: '&', SUB: '-', XOR: '^', CMP: '-', TEST: '&' };
const CC = ['O', 'NO', 'B', 'NB', 'Z', 'NZ', 'BE', 'NBE', 'S', 'NS', 'P', 'NP', 'L', 'NL', 'LE', 'NLE'];
const NEXT = 'u += UOP_SIZE; continue;';
const READ_FAULT = 'if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break;';
const A = 'cpu + load<u8>(u, U_A)';
const B = 'cpu + load<u8>(u, U_B)';
// How an instruction treats the arithmetic flags.
const READS = 1, WRITES = 2, FAULTS = 4, LAZY = 8, SUB = 16, UNKNOWN = 32;

/** Loads a `size`-byte value at `ea` into v; type is what v becomes. */
function read(type, size, ea, signed) {
  const lt = `${signed ? 'i' : 'u'}${size * 8}`;
  return `const va = ${ea}; const e = tlb_slot(tlb, va); let v: ${type};
        if (load<u64>(e) == (${size === 1 ? 'va' : `(va + ${size - 1})`} & PAGE)) v = <${type}>load<${lt}>(<usize>va + load<u32>(e, 24));
        else { v = <${type}><${lt}>rd_slow(cpu, tlb, va, ${size}); ${READ_FAULT} }`;
}

/** Stores \`v\` (an expression) of \`size\` bytes at \`ea\`, then \`commit\`. */
function write(size, ea, v, commit = '') {
  return `const va = ${ea}; const e = tlb_slot(tlb, va);
        if (load<u64>(e, 8) == (${size === 1 ? 'va' : `(va + ${size - 1})`} & PAGE)) {
          const p = <usize>va + load<u32>(e, 24);
          store<u${size * 8}>(p, ${v});
          if (load<u8>(p >> 12, MARK)) { code_write(cpu, <u32>(p - RAM_BASE), ${size}); ${commit} if (load<u32>(cpu, FAULT)) break; ${NEXT} }
        } else { wr_slow(cpu, tlb, va, <u64>(${v}), ${size}); if (load<u32>(cpu, FAULT)) { ${commit ? `if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; ${commit}` : ''} break; } }
        ${commit}`;
}

function flagsOf(op, w) {
  const sx = (x) => (w.bits === 64 ? x : `<i64>${x}`);
  if (op === 'AND' || op === 'OR' || op === 'XOR' || op === 'TEST') return `flags_logic(cpu, ${sx('r')});`;
  const f = op === 'ADD' ? 'FLAG_ADD' : 'FLAG_SUB';
  return `flags_lazy(cpu, ${f}, ${sx('r')}, ${sx('a')}, ${sx('b')});`;
}

/** Result and flags of op on a and b. */
function alu(op, w, flags) {
  if (op === 'ADC' || op === 'SBB') return `const r = <${w.t}>alu_carry(cpu, ${op === 'SBB'}, ${w.bits === 64 ? 'a' : '<i64>a'}, ${w.bits === 64 ? 'b' : '<i64>b'}, ${w.bits === 32});`;
  return `const r = a ${OPER[op]} b; ${flags ? flagsOf(op, w) : ''}`;
}

function setA(w) {
  return w.bits === 64 ? `store<i64>(${A}, r);` : `store<u64>(${A}, <u64><u32>r);`;
}

const COND_SUB = (t) => ({
  B: `<${t[1]}>a < <${t[1]}>b`, NB: `<${t[1]}>a >= <${t[1]}>b`, Z: 'a == b', NZ: 'a != b', BE: `<${t[1]}>a <= <${t[1]}>b`, NBE: `<${t[1]}>a > <${t[1]}>b`,
  S: 'r < 0', NS: 'r >= 0', L: 'a < b', NL: 'a >= b', LE: 'a <= b', NLE: 'a > b',
});
const COND_LOGIC = { Z: 'r == 0', NZ: 'r != 0', S: 'r < 0', NS: 'r >= 0', LE: 'r <= 0', NLE: 'r > 0' };

export function makeInterp(head) {
  const list = []; // { name, attr, body, nf }
  const op = (name, attr, body) => list.push({ name, attr, body });

  // ---- flow ----
  op('END', 0, 'link = u + UOP_SIZE; off = <i32>load<u16>(u, U_IP); break;');
  op('END_SLOW', 0, 'changetype<Cpu>(cpu).rip = next_rip(cpu, u); how = 2; break;');
  op('LEAVE_BLOCK', 0, 'changetype<Cpu>(cpu).rip = next_rip(cpu, u); how = 3; break;');
  op('NOP', 0, NEXT);
  op('JMP', 0, 'link = u + UOP_SIZE; off = load<i32>(u, U_DISP); break;');
  op('CALL', FAULTS, `{ const sp = load<u64>(cpu, RSP) - 8;
        wr64(cpu, sp, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT)) { if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; store<u32>(cpu, 0, FAULT); }
        store<u64>(cpu, sp, RSP); link = u + UOP_SIZE; off = load<i32>(u, U_DISP); break; }`);
  op('RET', FAULTS, `{ const sp = load<u64>(cpu, RSP); ${read('u64', 8, 'sp', false)}
        if (!canonical(v)) { raise_gp(cpu); break; }
        store<u64>(cpu, sp + 8 + load<u32>(u, U_IMM), RSP); target = v; how = 1; break; }`);
  op('JMP_R', FAULTS, `{ target = load<u64>(${A}); if (!canonical(target)) { raise_gp(cpu); break; } how = 1; break; }`);
  op('JMP_M', FAULTS, `{ ${read('u64', 8, 'ea(cpu, u)', false)} target = v; if (!canonical(target)) { raise_gp(cpu); break; } how = 1; break; }`);
  // the stack is written before a bad target is noticed
  const callTo = `if (!canonical(to)) { if (probe_w(cpu, load<u64>(cpu, RSP) - 8, 8)) raise_gp(cpu); break; }
        wr64(cpu, load<u64>(cpu, RSP) - 8, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break;
        if (load<u32>(cpu, FAULT) == FAULT_LEAVE) store<u32>(cpu, 0, FAULT);
        store<u64>(cpu, load<u64>(cpu, RSP) - 8, RSP); target = to; how = 1; break;`;
  op('CALL_R', FAULTS, `{ const to = load<u64>(${A}); ${callTo} }`);
  op('CALL_M', FAULTS, `{ ${read('u64', 8, 'ea(cpu, u)', false)} const to = v; ${callTo} }`);
  const branch = (c) => `if (${c}) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;`;
  op('JCC', READS, branch('cond(cpu, load<u8>(u, U_A))'));
  for (const [c, e] of Object.entries({ Z: '== 0', NZ: '!= 0', S: '< 0', NS: '>= 0' })) op(`JCC_RES_${c}`, READS, branch(`load<i64>(cpu, FLAG_RES) ${e}`));
  const subs = { B: ['u64', '<'], NB: ['u64', '>='], BE: ['u64', '<='], NBE: ['u64', '>'], L: ['i64', '<'], NL: ['i64', '>='], LE: ['i64', '<='], NLE: ['i64', '>'] };
  for (const [c, [t, o]] of Object.entries(subs)) op(`JCC_SUB_${c}`, READS, branch(`load<${t}>(cpu, FLAG_A) ${o} load<${t}>(cpu, FLAG_B)`));
  for (const form of ['RR', 'RI']) {
    for (const w of W) {
      const b = form === 'RR' ? `load<${w.t}>(${B})` : `<${w.t}>load<i32>(u, U_IMM)`;
      for (const k of ['CMP', 'TEST']) {
        for (const cc of CC) {
          const c = k === 'CMP' ? COND_SUB([w.t, w.u])[cc] : COND_LOGIC[cc];
          if (c === undefined) continue;
          op(`${k}_${form}${w.bits}_J${cc}`, WRITES, `{ const a = load<${w.t}>(${A}); const b = ${b}; ${alu(k, w, true)} ${branch(c)} }`);
        }
      }
    }
  }
  op('LOOP', READS, branch('loop_taken(cpu, u)'));
  op('JMP_SLOW', 0, 'jump_slow(cpu, u, true); how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;');
  op('JCC_SLOW', READS, 'jump_slow(cpu, u, cond(cpu, load<u8>(u, U_A))); how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;');
  op('LOOP_SLOW', READS, 'jump_slow(cpu, u, loop_taken(cpu, u)); how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;');
  // control transfers and system instructions out of line: cpu.rip is the next instruction's, they may change it
  op('SYS', READS | FAULTS, 'changetype<Cpu>(cpu).rip = next_rip(cpu, u); sys_count(cpu, blk, u, left); sys_op(cpu, u); if (load<u32>(cpu, FAULT) == 0) how = 2; break;');

  // ---- moves ----
  op('MOV_RR32', 0, `store<u64>(${A}, <u64>load<u32>(${B})); ${NEXT}`);
  op('MOV_RR64', 0, `store<u64>(${A}, load<u64>(${B})); ${NEXT}`);
  op('MOV_RR8', 0, `store<u8>(${A}, load<u8>(${B})); ${NEXT}`);
  op('MOV_RR16', 0, `store<u16>(${A}, load<u16>(${B})); ${NEXT}`);
  op('MOV_RI32', 0, `store<u64>(${A}, <u64>load<u32>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI64S', 0, `store<i64>(${A}, <i64>load<i32>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI64', 0, `store<u64>(${A}, load<u64>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI8', 0, `store<u8>(${A}, load<u8>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI16', 0, `store<u16>(${A}, load<u16>(u, U_DISP)); ${NEXT}`);
  for (const bd of ['', '_BD']) {
    const ea = bd ? 'ea_bd(cpu, u)' : 'ea(cpu, u)';
    op(`LD64${bd}`, FAULTS, `{ ${read('u64', 8, ea, false)} store<u64>(${A}, v); ${NEXT} }`);
    op(`LD32${bd}`, FAULTS, `{ ${read('u64', 4, ea, false)} store<u64>(${A}, v); ${NEXT} }`);
    op(`LDZX8${bd}`, FAULTS, `{ ${read('u64', 1, ea, false)} store<u64>(${A}, v); ${NEXT} }`);
    op(`ST64${bd}`, FAULTS, `{ const x = load<u64>(${A}); ${write(8, ea, 'x')} ${NEXT} }`);
    op(`ST32${bd}`, FAULTS, `{ const x = load<u32>(${A}); ${write(4, ea, 'x')} ${NEXT} }`);
    op(`ST8${bd}`, FAULTS, `{ const x = load<u8>(${A}); ${write(1, ea, 'x')} ${NEXT} }`);
  }
  op('LD8', FAULTS, `{ ${read('u32', 1, 'ea(cpu, u)', false)} store<u8>(${A}, v); ${NEXT} }`);
  op('LD16', FAULTS, `{ ${read('u32', 2, 'ea(cpu, u)', false)} store<u16>(${A}, v); ${NEXT} }`);
  op('ST16', FAULTS, `{ const x = load<u16>(${A}); ${write(2, 'ea(cpu, u)', 'x')} ${NEXT} }`);
  op('STI8', FAULTS, `{ ${write(1, 'ea(cpu, u)', 'load<u8>(u, U_IMM)')} ${NEXT} }`);
  op('STI16', FAULTS, `{ ${write(2, 'ea(cpu, u)', 'load<u16>(u, U_IMM)')} ${NEXT} }`);
  op('STI32', FAULTS, `{ ${write(4, 'ea(cpu, u)', 'load<u32>(u, U_IMM)')} ${NEXT} }`);
  op('STI64', FAULTS, `{ ${write(8, 'ea(cpu, u)', '<u64><i64>load<i32>(u, U_IMM)')} ${NEXT} }`);
  for (const [n, size, signed, t] of [['LDZX16', 2, false, 'u64'], ['LDSX8_32', 1, true, 'i32'], ['LDSX16_32', 2, true, 'i32'], ['LDSX8_64', 1, true, 'i64'], ['LDSX16_64', 2, true, 'i64'], ['LDSX32_64', 4, true, 'i64']]) {
    op(n, FAULTS, `{ ${read(t, size, 'ea(cpu, u)', signed)} store<u64>(${A}, ${t === 'i32' ? '<u64><u32>v' : '<u64>v'}); ${NEXT} }`);
  }
  for (const [n, lt, cast] of [['MOVZX8', 'u8', '<u64>'], ['MOVZX16', 'u16', '<u64>'], ['MOVSX8_32', 'i8', '<u64><u32><i32>'], ['MOVSX16_32', 'i16', '<u64><u32><i32>'], ['MOVSX8_64', 'i8', '<u64><i64>'], ['MOVSX16_64', 'i16', '<u64><i64>'], ['MOVSX32_64', 'i32', '<u64><i64>']]) {
    op(n, 0, `store<u64>(${A}, ${cast}load<${lt}>(${B})); ${NEXT}`);
  }
  op('LEA64', 0, `store<u64>(${A}, ea_offset(cpu, u)); ${NEXT}`);
  op('LEA64_BD', 0, `store<u64>(${A}, ea_bd(cpu, u)); ${NEXT}`);
  op('LEA64_BIS', 0, `store<u64>(${A}, ea_bis(cpu, u)); ${NEXT}`);
  op('LEA32', 0, `store<u64>(${A}, <u64><u32>ea_offset(cpu, u)); ${NEXT}`);
  op('LEA16', 0, `store<u16>(${A}, <u16>ea_offset(cpu, u)); ${NEXT}`);
  op('PUSH64', FAULTS, `{ const v = load<u64>(${A}); const sp = load<u64>(cpu, RSP) - 8; ${write(8, 'sp', 'v', 'store<u64>(cpu, sp, RSP);')} ${NEXT} }`);
  op('PUSH64_I', FAULTS, `{ const v = <u64><i64>load<i32>(u, U_DISP); const sp = load<u64>(cpu, RSP) - 8; ${write(8, 'sp', 'v', 'store<u64>(cpu, sp, RSP);')} ${NEXT} }`);
  op('POP64', FAULTS, `{ const sp = load<u64>(cpu, RSP); ${read('u64', 8, 'sp', false)} store<u64>(cpu, sp + 8, RSP); store<u64>(${A}, v); ${NEXT} }`);
  op('LEAVE64', FAULTS, `{ const sp = load<u64>(cpu, RBP); ${read('u64', 8, 'sp', false)} store<u64>(cpu, sp + 8, RSP); store<u64>(cpu, v, RBP); ${NEXT} }`);
  op('XCHG_RR64', 0, `{ const a = load<u64>(${A}); store<u64>(${A}, load<u64>(${B})); store<u64>(${B}, a); ${NEXT} }`);
  op('XCHG_RR32', 0, `{ const a = load<u32>(${A}); const b = load<u32>(${B}); store<u64>(${A}, <u64>b); store<u64>(${B}, <u64>a); ${NEXT} }`);
  op('BSWAP32', 0, `store<u64>(${A}, <u64>bswap<u32>(load<u32>(${A}))); ${NEXT}`);
  op('BSWAP64', 0, `store<u64>(${A}, bswap<u64>(load<u64>(${A}))); ${NEXT}`);
  op('CDQE', 0, `store<u64>(cpu, <u64><i64>load<i32>(cpu)); ${NEXT}`);
  op('CDQ', 0, `store<u64>(cpu, <u64><u32>(load<i32>(cpu) >> 31), 16); ${NEXT}`);
  op('CQO', 0, `store<i64>(cpu, load<i64>(cpu) >> 63, 16); ${NEXT}`);

  // ---- ALU, 32 and 64 bits: with flags, then (same order) without ----
  const nfPairs = [];
  for (const nf of [false, true]) {
    for (const form of ['RR', 'RI', 'RM']) {
      for (const k of ALU) {
        for (const w of W) {
          const carry = k === 'ADC' || k === 'SBB';
          const name = `${k}_${form}${w.bits}${nf ? '_NF' : ''}`;
          if (nf && carry) continue;
          if (!nf && !carry) nfPairs.push([name, `${name}_NF`]);
          const compare = k === 'CMP' || k === 'TEST';
          const save = compare ? '' : setA(w);
          const attr = (nf ? 0 : WRITES) | (carry ? READS : 0) | (form === 'RM' ? FAULTS : 0);
          if (form === 'RM') op(name, attr, `{ ${read(w.t, w.s, 'ea(cpu, u)', true)} ${nf && compare ? '' : `const b = v; const a = load<${w.t}>(${A}); ${alu(k, w, !nf)} ${save}`} ${NEXT} }`);
          else if (nf && compare) op(name, attr, NEXT);
          else op(name, attr, `{ const a = load<${w.t}>(${A}); const b = ${form === 'RR' ? `load<${w.t}>(${B})` : `<${w.t}>load<i32>(u, U_DISP)`}; ${alu(k, w, !nf)} ${save} ${NEXT} }`);
        }
      }
    }
  }
  // memory destination: the page is probed for writing first
  for (const form of ['MR', 'MI']) {
    for (const k of ALU) {
      for (const w of W) {
        const b = form === 'MR' ? `load<${w.t}>(${A})` : `<${w.t}>load<i32>(u, U_IMM)`;
        const carry = k === 'ADC' || k === 'SBB';
        if (k === 'CMP' || k === 'TEST') op(`${k}_${form}${w.bits}`, WRITES | FAULTS, `{ ${read(w.t, w.s, 'ea(cpu, u)', true)} const a = v; const b = ${b}; ${alu(k, w, true)} ${NEXT} }`);
        else op(`${k}_${form}${w.bits}`, WRITES | FAULTS | (carry ? READS : 0), `{ const va = ea(cpu, u); const p = ptr_rw(cpu, va, ${w.s}); if (p == 0) break;
        const a = load<${w.t}>(p); const b = ${b}; ${alu(k, w, true)} store<${w.t}>(p, r); ptr_w_done(cpu, p, va, ${w.s}); if (load<u32>(cpu, FAULT)) break; ${NEXT} }`);
      }
    }
  }
  // 8-bit compares
  for (const k of ['CMP', 'TEST']) {
    op(`${k}_RR8`, WRITES, `{ const a = <i32>load<i8>(${A}); const b = <i32>load<i8>(${B}); ${calc8(k)} ${NEXT} }`);
    op(`${k}_RI8`, WRITES, `{ const a = <i32>load<i8>(${A}); const b = <i32>load<i8>(u, U_DISP); ${calc8(k)} ${NEXT} }`);
    op(`${k}_RM8`, WRITES | FAULTS, `{ ${read('i32', 1, 'ea(cpu, u)', true)} const b = v; const a = <i32>load<i8>(${A}); ${calc8(k)} ${NEXT} }`);
    op(`${k}_MR8`, WRITES | FAULTS, `{ ${read('i32', 1, 'ea(cpu, u)', true)} const a = v; const b = <i32>load<i8>(${A}); ${calc8(k)} ${NEXT} }`);
    op(`${k}_MI8`, WRITES | FAULTS, `{ ${read('i32', 1, 'ea(cpu, u)', true)} const a = v; const b = <i32>load<i8>(u, U_IMM); ${calc8(k)} ${NEXT} }`);
  }
  for (const w of W) {
    const sx = w.bits === 64 ? '' : '<i64>';
    op(`INC_R${w.bits}`, WRITES | READS, `{ const a = load<${w.t}>(${A}); const r = a + 1; flags_lazy(cpu, FLAG_INC, ${sx}r, ${sx}a, get_cf(cpu)); ${setA(w)} ${NEXT} }`);
    nfPairs.push([`INC_R${w.bits}`, `ADD_RI${w.bits}_NF`], [`DEC_R${w.bits}`, `ADD_RI${w.bits}_NF`], [`NEG_R${w.bits}`, `NEG_R${w.bits}_NF`]);
    op(`DEC_R${w.bits}`, WRITES | READS, `{ const a = load<${w.t}>(${A}); const r = a - 1; flags_lazy(cpu, FLAG_DEC, ${sx}r, ${sx}a, get_cf(cpu)); ${setA(w)} ${NEXT} }`);
    op(`NEG_R${w.bits}`, WRITES, `{ const a: ${w.t} = 0; const b = load<${w.t}>(${A}); const r = -b; flags_lazy(cpu, FLAG_SUB, ${sx}r, 0, ${sx}b); ${setA(w)} ${NEXT} }`);
    op(`NEG_R${w.bits}_NF`, 0, `{ const r = -load<${w.t}>(${A}); ${setA(w)} ${NEXT} }`);
    op(`NOT_R${w.bits}`, 0, `{ const r = ~load<${w.t}>(${A}); ${setA(w)} ${NEXT} }`);
    // shifts by an immediate count of 1 … size - 1
    const n = `load<u32>(u, U_DISP)`;
    const sh = (k, r, cf, of) => {
      for (const nf of [false, true]) {
        if (!nf) nfPairs.push([`${k}_RI${w.bits}`, `${k}_RI${w.bits}_NF`]);
        op(`${k}_RI${w.bits}${nf ? '_NF' : ''}`, nf ? 0 : WRITES, `{ const a = load<${w.u}>(${A}); const n: ${w.u} = ${n}; const r = <${w.t}>(${r}); ${nf ? '' : `flags_lazy(cpu, FLAG_SHIFT, ${sx}r, <u64>(${cf}), <u64>(${of}));`} ${setA(w)} ${NEXT} }`);
      }
    };
    sh('SHL', 'a << n', `(a >> (${w.bits} - n)) & 1`, `((a >> (${w.bits} - n)) ^ (<${w.u}>r >> ${w.bits - 1})) & 1`);
    sh('SHR', 'a >> n', '(a >> (n - 1)) & 1', `a >> ${w.bits - 1}`);
    sh('SAR', `<${w.t}>a >> <${w.t}>n`, `(<${w.t}>a >> <${w.t}>(n - 1)) & 1`, '0');
    op(`ROL_RI${w.bits}`, READS, `{ const r = <${w.t}>rotl<${w.u}>(load<${w.u}>(${A}), ${n}); const cf = <u32>r & 1; flags_over(cpu, cf, <u32>(<${w.u}>r >> ${w.bits - 1}) ^ cf); ${setA(w)} ${NEXT} }`);
    op(`ROR_RI${w.bits}`, READS, `{ const r = <${w.t}>rotr<${w.u}>(load<${w.u}>(${A}), ${n}); const cf = <u32>(<${w.u}>r >> ${w.bits - 1}); flags_over(cpu, cf, cf ^ (<u32>(<${w.u}>r >> ${w.bits - 2}) & 1)); ${setA(w)} ${NEXT} }`);
    op(`ROR_RI${w.bits}_NF`, 0, `{ const r = <${w.t}>rotr<${w.u}>(load<${w.u}>(${A}), ${n}); ${setA(w)} ${NEXT} }`);
    nfPairs.push([`ROL_RI${w.bits}`, `ROL_RI${w.bits}_NF`], [`ROR_RI${w.bits}`, `ROR_RI${w.bits}_NF`]);
    op(`ROL_RI${w.bits}_NF`, 0, `{ const r = <${w.t}>rotl<${w.u}>(load<${w.u}>(${A}), ${n}); ${setA(w)} ${NEXT} }`);
  }
  op('IMUL_RR32', WRITES, `{ const p = <i64>load<i32>(${A}) * <i64>load<i32>(${B}); const r = <i32>p; const c = <u64>(p != <i64>r); flags_lazy(cpu, FLAG_SHIFT, <i64>r, c, c); store<u64>(${A}, <u64><u32>r); ${NEXT} }`);
  op('IMUL_RR64', WRITES, `imul64(cpu, ${A}, load<u64>(${A}), load<u64>(${B})); ${NEXT}`);
  op('IMUL_RI32', WRITES, `{ const p = <i64>load<i32>(${B}) * <i64>load<i32>(u, U_DISP); const r = <i32>p; const c = <u64>(p != <i64>r); flags_lazy(cpu, FLAG_SHIFT, <i64>r, c, c); store<u64>(${A}, <u64><u32>r); ${NEXT} }`);
  op('IMUL_RI64', WRITES, `imul64(cpu, ${A}, load<u64>(${B}), <i64>load<i32>(u, U_DISP)); ${NEXT}`);
  for (const w of W) {
    op(`IMUL_RR${w.bits}_NF`, 0, `{ const r = load<${w.t}>(${A}) * load<${w.t}>(${B}); ${setA(w)} ${NEXT} }`);
    op(`IMUL_RI${w.bits}_NF`, 0, `{ const r = load<${w.t}>(${B}) * <${w.t}>load<i32>(u, U_DISP); ${setA(w)} ${NEXT} }`);
    nfPairs.push([`IMUL_RR${w.bits}`, `IMUL_RR${w.bits}_NF`], [`IMUL_RI${w.bits}`, `IMUL_RI${w.bits}_NF`]);
  }
  // conditions
  op('SETCC_R', READS, `store<u8>(${A}, cond(cpu, load<u8>(u, U_B)) ? 1 : 0); ${NEXT}`);
  for (const [c, [t, o]] of Object.entries(subs)) op(`SETCC_SUB_${c}`, READS, `store<u8>(${A}, load<${t}>(cpu, FLAG_A) ${o} load<${t}>(cpu, FLAG_B) ? 1 : 0); ${NEXT}`);
  op('SETCC_Z', READS, `store<u8>(${A}, load<u64>(cpu, FLAG_RES) == 0 ? 1 : 0); ${NEXT}`);
  op('SETCC_NZ', READS, `store<u8>(${A}, load<u64>(cpu, FLAG_RES) != 0 ? 1 : 0); ${NEXT}`);
  op('CMOV_RR32', READS, `store<u64>(${A}, <u64>(cond(cpu, load<u8>(u, U_DISP)) ? load<u32>(${B}) : load<u32>(${A}))); ${NEXT}`);
  for (const w of W) {
    // 32 bits clear the upper half even when nothing moves
    const move = (c) => (w.bits === 64 ? `if (${c}) store<u64>(${A}, load<u64>(${B})); ${NEXT}` : `store<u64>(${A}, <u64>(${c} ? load<u32>(${B}) : load<u32>(${A}))); ${NEXT}`);
    op(`CMOV_RES_Z${w.bits}`, READS, move('load<u64>(cpu, FLAG_RES) == 0'));
    op(`CMOV_RES_NZ${w.bits}`, READS, move('load<u64>(cpu, FLAG_RES) != 0'));
    for (const [c, [t, o]] of Object.entries(subs)) op(`CMOV_SUB_${c}${w.bits}`, READS, move(`load<${t}>(cpu, FLAG_A) ${o} load<${t}>(cpu, FLAG_B)`));
  }
  op('CMOV_RR64', READS, `if (cond(cpu, load<u8>(u, U_DISP))) store<u64>(${A}, load<u64>(${B})); ${NEXT}`);

  // ---- out of line ----
  const call = (name, attr, f) => op(name, attr, `${f}(cpu, u); if (load<u32>(cpu, FAULT)) break; ${NEXT}`);
  call('ALU_G', WRITES | READS | FAULTS, 'alu_generic');
  call('UNARY_G', WRITES | READS | FAULTS, 'unary_generic');
  call('SHIFT_G', READS | FAULTS, 'shift_generic');
  call('MULDIV', READS | FAULTS, 'muldiv');
  call('IMUL_G', WRITES | FAULTS, 'imul_generic');
  call('BIT_G', READS | FAULTS, 'bit_generic');
  call('XCHG_G', FAULTS, 'xchg_generic');
  call('MISC', READS | FAULTS, 'misc_op');
  call('STACK_G', READS | FAULTS, 'stack_op');
  op('SSE', READS | FAULTS, `sse_exec(cpu, u); if (load<u32>(cpu, FAULT)) break; ${NEXT}`);
  op('X87', READS | FAULTS, `x87_exec(cpu, u); if (load<u32>(cpu, FAULT)) break; ${NEXT}`);
  op('STRING', READS | FAULTS, `{ const s = string_op(cpu, u); if (s == STRING_AGAIN) { changetype<Cpu>(cpu).rip = start_rip(cpu, blk, u); how = 4; break; } if (load<u32>(cpu, FAULT)) break; ${NEXT} }`);

  // what may come before an instruction's real micro-op
  call('EA_SEG', FAULTS, 'ea_segmented');
  op('CHECK_PAGE2', FAULTS, '{ const s = check_page2(cpu, blk); if (s == 1) { u += UOP_SIZE; continue; } if (s == 2) { changetype<Cpu>(cpu).rip = target; how = 4; } break; }');
  for (const o of list) {
    if (/^(CMP|SUB|NEG)_/.test(o.name) && o.attr & WRITES) o.attr |= SUB;
    else if (o.attr & WRITES && o.name !== 'UNARY_G') o.attr |= LAZY;
    if (/^(UNARY_G|SHIFT_G|MULDIV|BIT_G|XCHG_G|MISC|STACK_G|SSE|X87|STRING|SYS|RO[LR]_RI..)$/.test(o.name)) o.attr |= UNKNOWN;
  }
  const index = new Map(list.map((o, i) => [o.name, i]));
  const nf = list.map(() => 0);
  for (const [f, n] of nfPairs) nf[index.get(f)] = index.get(n);
  const fused = [];
  for (const form of ['RR', 'RI']) for (const w of W) for (const k of ['CMP', 'TEST']) for (const cc of CC) fused.push(index.get(`${k}_${form}${w.bits}_J${cc}`) ?? 0);
  const FUSED = `/** Fused compare and branch: [RR RI][32 64][CMP TEST][condition], 0: none. */\nexport const OP_FUSED: StaticArray<u16> = [${fused.join(', ')}];\n`;
  const byCc = (prefix, suffix) => CC.map((cc) => index.get(`${prefix}${cc}${suffix}`) ?? 0).join(', ');
  const CONDS = `/** Conditions on the operands of a compare, by condition code; 0: ask the general form. */
export const OP_SETCC_SUB: StaticArray<u16> = [${byCc('SETCC_SUB_', '')}];
export const OP_CMOV_SUB: StaticArray<u16> = [${byCc('CMOV_SUB_', '32')}, ${byCc('CMOV_SUB_', '64')}];
`;
  let ops = `${head}\n`;
  list.forEach((o, i) => { ops += `export const OP_${o.name}: u32 = ${i};\n`; });
  ops += `export const OP_COUNT: u32 = ${list.length};\n`;
  ops += '\nexport const ATTR_READS: u32 = 1; // needs the arithmetic flags\nexport const ATTR_WRITES: u32 = 2; // sets all six\nexport const ATTR_FAULTS: u32 = 4; // may fault, which shows them\nexport const ATTR_LAZY: u32 = 8; // flag_res is valid afterwards\nexport const ATTR_SUB: u32 = 16; // and flag_a, flag_b hold what was compared\nexport const ATTR_UNKNOWN: u32 = 32; // may change some flags\n';
  ops += `export const OP_ATTR: StaticArray<u8> = [${list.map((o) => o.attr).join(', ')}];\n`;
  ops += `${FUSED}${CONDS}/** The same micro-op without flags, or 0. */\nexport const OP_NF: StaticArray<u16> = [${nf.join(', ')}];\n`;

  const interp = `${head}
import { RAM_BASE } from '../../../core/layout';
import { alu_carry, alu_generic, unary_generic } from '../alu';
import { bit_generic } from '../bits';
import { xchg_generic } from '../exchange';
import { imul64, imul_generic, muldiv } from '../muldiv';
import { shift_generic } from '../shift';
import { B_GEN, B_GEN_AT, B_INSNS, B_MODE, B_UOPS, BLOCK_CURRENT, code_write, JUMP_CACHE } from '../../uop/blocks';
import { count_block, TRACE_AT } from '../count';
import { raise_gp } from '../../vcpu/fault';
import { cond, FLAG_A, FLAG_ADD, FLAG_B, FLAG_DEC, FLAG_INC, FLAG_RES, FLAG_SHIFT, FLAG_SUB, flags_lazy, flags_logic, flags_over, get_cf } from '../../vcpu/flags';
import { misc_op } from '../misc';
import { sse_exec, x87_exec } from '../fpu_link';
import { probe_w, ptr_rw, ptr_w_done, rd_slow, wr64, wr_slow } from '../../memory/mem';
import { BLOCK, check_page2, ea_bis, ea_offset, ea_segmented, FAULT, IF_MASK, jump_cached, JUMP_MASK, jump_slow, leave_at, LINK_ALWAYS, insns_from, link_wanted, loop_taken, MARK, MODE, next_rip, PENDING, RBP, RSP, start_rip, sys_count, TLB, TLB_GEN, EFLAGS_AT } from '../interp_support';
import { Cpu, FAULT_EXCEPTION, FAULT_LEAVE, PEND_INTR } from '../../vcpu/state';
import { canonical } from '../../memory/mmu';
import { stack_op } from '../stackops';
import { STRING_AGAIN, string_op } from '../string';
import { sys_op } from '../../system/sysops';
import { tlb_slot } from '../../memory/tlb';
import { ea, ea_bd, U_A, U_B, U_DISP, U_IMM, U_IP, U_OP, UOP_SIZE } from '../../uop/uop';

const PAGE: u64 = ~0xfff;
const FIRST_PRE_OP: u32 = ${index.get('EA_SEG')};

/**
 * Runs from block \`blk\` at rip \`target\` until something needs the caller. \`left\`: instructions of the budget; returns what
 * is left of it. cpu.rip and cpu.fault say why it came back.
 */
export function interp(cpu: usize, blk: usize, target: u64, left: i32): i32 {
  let u: usize = 0;
  let link: usize = 0;
  let off: i32 = 0;
  let how: u32 = 0;
  let tlb: usize = 0;
  const traced = load<u32>(cpu, TRACE_AT);
  while (true) {
    // enter blk, whose first byte is at target
    if (load<u32>(blk, B_GEN) != load<u32>(<usize>load<u32>(blk, B_GEN_AT))) {
      if (link) link_wanted(cpu, link, target);
      break;
    }
    const insns: i32 = load<u16>(blk, B_INSNS);
    if (left < insns) break;
    const pending = atomic.load<u32>(cpu, PENDING);
    if (pending != 0 && (pending != PEND_INTR || load<u32>(cpu, EFLAGS_AT) & IF_MASK)) break;
    left -= insns;
    if (traced) count_block(cpu, target, insns, left);
    store<u64>(cpu, target, BLOCK);
    store<u32>(cpu, <u32>blk, BLOCK_CURRENT);
    tlb = load<u32>(cpu, TLB);
    u = blk + B_UOPS;
    link = 0;
    how = 0;
    while (true) {
      switch (<i32>load<u16>(u, U_OP)) {
${list.map((o, i) => `      // ${o.name}\n      case ${i}: ${o.body}${/(continue;|break;|continue; }|break; })$/.test(o.body) ? '' : ' break;'}`).join('\n')}
        default: unreachable();
      }
      if (link) {
        target = load<u64>(cpu, BLOCK) + <i64>off;
        const next: usize = load<u32>(link);
        if (next != 0) {
          const g = load<u32>(link, 4);
          if (g == LINK_ALWAYS || (g == load<u32>(cpu, TLB_GEN) && load<u64>(link, 8) == load<u64>(cpu, BLOCK))) {
            blk = next;
            break;
          }
        }
        const found = jump_cached(cpu, target, link);
        if (found == 0) { store<u32>(cpu, 0, BLOCK_CURRENT); changetype<Cpu>(cpu).rip = target; return left; }
        blk = found;
        break;
      }
      if (how) {
        if (how >= 3) {
          if (how == 4) left += insns_from(blk, u);
          store<u32>(cpu, 0, BLOCK_CURRENT);
          return left;
        }
        if (how == 2) {
          target = changetype<Cpu>(cpu).rip;
        }
        const e: usize = cpu + JUMP_CACHE + (((<u32>target ^ <u32>(target >> 12)) & JUMP_MASK) << 4);
        blk = load<u32>(e, 8);
        if (load<u64>(e) == target && blk != 0 && load<u32>(e, 12) == load<u32>(cpu, TLB_GEN) && load<u32>(blk, B_MODE) == load<u32>(cpu, MODE)) break;
        store<u32>(cpu, 0, BLOCK_CURRENT);
        changetype<Cpu>(cpu).rip = target;
        return left;
      }
      // a fault, or FAULT_LEAVE and its like after a committed micro-op, perhaps not the instruction's last
      if (load<u32>(cpu, FAULT) == FAULT_LEAVE && load<u16>(u, U_OP) >= FIRST_PRE_OP) { u += UOP_SIZE; continue; }
      store<u32>(cpu, 0, BLOCK_CURRENT);
      return left + leave_at(cpu, blk, u);
    }
  }
  store<u32>(cpu, 0, BLOCK_CURRENT);
  changetype<Cpu>(cpu).rip = target;
  return left;
}
`;
  return { ops, interp };
}

function calc8(k) {
  return k === 'CMP'
    ? 'flags_lazy(cpu, FLAG_SUB, <i64><i8>(a - b), <i64>a, <i64>b);'
    : 'flags_logic(cpu, <i64>(a & b));';
}
