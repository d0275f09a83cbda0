/**
 * Pieces of the dispatcher's text that many micro-ops share. Inside a case: `u` is the micro-op, `tlb` the TLB table. `continue` goes to
 * the next micro-op, `break` leaves the loop: with `link` set over a direct link, with `how` = 1 to `target`, with `how` = 2 to cpu.rip,
 * else by cpu.fault.
 */
export const WIDTHS = [
  { bits: 32, t: 'i32', u: 'u32', s: 4 },
  { bits: 64, t: 'i64', u: 'u64', s: 8 },
];
export const ALU = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP', 'TEST'];
export const CC = ['O', 'NO', 'B', 'NB', 'Z', 'NZ', 'BE', 'NBE', 'S', 'NS', 'P', 'NP', 'L', 'NL', 'LE', 'NLE'];
/** Conditions on the operands of a compare: type, comparison. */
export const SUB_CONDITIONS = {
  B: ['u64', '<'], NB: ['u64', '>='], BE: ['u64', '<='], NBE: ['u64', '>'], L: ['i64', '<'], NL: ['i64', '>='], LE: ['i64', '<='], NLE: ['i64', '>'],
};
export const NEXT = 'u += UOP_SIZE; continue;';
export const A = 'cpu + load<u8>(u, U_A)';
export const B = 'cpu + load<u8>(u, U_B)';
// How an instruction treats the arithmetic flags.
export const READS = 1;
export const WRITES = 2;
export const FAULTS = 4;
export const LAZY = 8;
export const SUB = 16;
export const UNKNOWN = 32;

const OPERATORS = { ADD: '+', OR: '|', AND: '&', SUB: '-', XOR: '^', CMP: '-', TEST: '&' };
const READ_FAULT = 'if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break;';

/** Loads a `size`-byte value at `ea` into v; type is what v becomes. */
export function read(type, size, ea, signed) {
  const lt = `${signed ? 'i' : 'u'}${size * 8}`;
  return `const va = ${ea}; const e = tlb_slot(tlb, va); let v: ${type};
        if (load<u64>(e) == (${size === 1 ? 'va' : `(va + ${size - 1})`} & PAGE)) v = <${type}>load<${lt}>(<usize>va + load<u32>(e, TLB_ADDEND));
        else { v = <${type}><${lt}>rd_slow(cpu, tlb, va, ${size}); ${READ_FAULT} }`;
}

/** Stores \`v\` (an expression) of \`size\` bytes at \`ea\`, then \`commit\`. */
export function write(size, ea, v, commit = '') {
  return `const va = ${ea}; const e = tlb_slot(tlb, va);
        if (load<u64>(e, TLB_WRITE) == (${size === 1 ? 'va' : `(va + ${size - 1})`} & PAGE)) {
          const p = <usize>va + load<u32>(e, TLB_ADDEND);
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

/** Result r and flags of op on a and b. */
export function calculate(op, w, flags) {
  if (op === 'ADC' || op === 'SBB') {
    return `const r = <${w.t}>alu_carry(cpu, ${op === 'SBB'}, ${w.bits === 64 ? 'a' : '<i64>a'}, ${w.bits === 64 ? 'b' : '<i64>b'}, ${w.bits === 32});`;
  }
  return `const r = a ${OPERATORS[op]} b; ${flags ? flagsOf(op, w) : ''}`;
}

export function setA(w) {
  return w.bits === 64 ? `store<i64>(${A}, r);` : `store<u64>(${A}, <u64><u32>r);`;
}

/** Leaves the block over its first link when \`c\` holds, else over the second. */
export function branch(c) {
  return `if (${c}) { link = u + UOP_SIZE; off = load<i32>(u, U_DISP); } else { link = u + 2 * UOP_SIZE; off = <i32>load<u16>(u, U_IP); } break;`;
}
