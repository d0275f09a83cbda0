/** Moves, loads, stores, addresses, the 64-bit stack instructions. */
import { A, B, FAULTS, NEXT, read, write } from './text.mjs';

function registerMoves(op) {
  const rr = (bits) => ({ kind: 'mov_rr', bits, uses: bits < 32 ? 'a b' : 'b', sets: 'a' });
  const ri = (bits, signed) => ({ kind: 'mov_ri', bits, signed, uses: bits < 32 ? 'a' : '', sets: 'a' });
  op('MOV_RR32', 0, rr(32), `store<u64>(${A}, <u64>load<u32>(${B})); ${NEXT}`);
  op('MOV_RR64', 0, rr(64), `store<u64>(${A}, load<u64>(${B})); ${NEXT}`);
  op('MOV_RR8', 0, rr(8), `store<u8>(${A}, load<u8>(${B})); ${NEXT}`);
  op('MOV_RR16', 0, rr(16), `store<u16>(${A}, load<u16>(${B})); ${NEXT}`);
  op('MOV_RI32', 0, ri(32, false), `store<u64>(${A}, <u64>load<u32>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI64S', 0, ri(64, true), `store<i64>(${A}, <i64>load<i32>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI64', 0, ri(64, false), `store<u64>(${A}, load<u64>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI8', 0, ri(8, false), `store<u8>(${A}, load<u8>(u, U_DISP)); ${NEXT}`);
  op('MOV_RI16', 0, ri(16, false), `store<u16>(${A}, load<u16>(u, U_DISP)); ${NEXT}`);
}

/** A load of `size` bytes into a register of `bits`: narrower ones than 32 leave the rest of it. */
const loads = (size, signed, bits) => ({ kind: 'load', size, signed, bits, uses: bits < 32 ? 'a m' : 'm', sets: 'a' });

function memoryMoves(op) {
  for (const bd of ['', '_BD']) {
    const ea = bd ? 'ea_bd(cpu, u)' : 'ea(cpu, u)';
    op(`LD64${bd}`, FAULTS, loads(8, false, 64), `{ ${read('u64', 8, ea, false)} store<u64>(${A}, v); ${NEXT} }`);
    op(`LD32${bd}`, FAULTS, loads(4, false, 64), `{ ${read('u64', 4, ea, false)} store<u64>(${A}, v); ${NEXT} }`);
    op(`LDZX8${bd}`, FAULTS, loads(1, false, 64), `{ ${read('u64', 1, ea, false)} store<u64>(${A}, v); ${NEXT} }`);
    for (const size of [8, 4, 1]) {
      op(`ST${size * 8}${bd}`, FAULTS, { kind: 'store', size, uses: 'a m' }, `{ const x = load<u${size * 8}>(${A}); ${write(size, ea, 'x')} ${NEXT} }`);
    }
  }
  op('LD8', FAULTS, loads(1, false, 8), `{ ${read('u32', 1, 'ea(cpu, u)', false)} store<u8>(${A}, v); ${NEXT} }`);
  op('LD16', FAULTS, loads(2, false, 16), `{ ${read('u32', 2, 'ea(cpu, u)', false)} store<u16>(${A}, v); ${NEXT} }`);
  op('ST16', FAULTS, { kind: 'store', size: 2, uses: 'a m' }, `{ const x = load<u16>(${A}); ${write(2, 'ea(cpu, u)', 'x')} ${NEXT} }`);
  for (const [size, v] of [[1, 'load<u8>(u, U_IMM)'], [2, 'load<u16>(u, U_IMM)'], [4, 'load<u32>(u, U_IMM)'], [8, '<u64><i64>load<i32>(u, U_IMM)']]) {
    op(`STI${size * 8}`, FAULTS, { kind: 'store_imm', size, uses: 'm' }, `{ ${write(size, 'ea(cpu, u)', v)} ${NEXT} }`);
  }
  const extending = [
    ['LDZX16', 2, false, 'u64'], ['LDSX8_32', 1, true, 'i32'], ['LDSX16_32', 2, true, 'i32'], ['LDSX8_64', 1, true, 'i64'], ['LDSX16_64', 2, true, 'i64'],
    ['LDSX32_64', 4, true, 'i64'],
  ];
  for (const [n, size, signed, t] of extending) {
    op(n, FAULTS, loads(size, signed, t === 'i32' ? 32 : 64), `{ ${read(t, size, 'ea(cpu, u)', signed)} store<u64>(${A}, ${t === 'i32' ? '<u64><u32>v' : '<u64>v'}); ${NEXT} }`);
  }
}

function extensions(op) {
  const rows = [
    ['MOVZX8', 'u8', '<u64>'], ['MOVZX16', 'u16', '<u64>'], ['MOVSX8_32', 'i8', '<u64><u32><i32>'], ['MOVSX16_32', 'i16', '<u64><u32><i32>'],
    ['MOVSX8_64', 'i8', '<u64><i64>'], ['MOVSX16_64', 'i16', '<u64><i64>'], ['MOVSX32_64', 'i32', '<u64><i64>'],
  ];
  for (const [n, lt, cast] of rows) {
    const sem = { kind: 'extend', size: Number(lt.slice(1)) / 8, signed: lt[0] === 'i', bits: n.endsWith('_64') ? 64 : 32, uses: 'b', sets: 'a' };
    op(n, 0, sem, `store<u64>(${A}, ${cast}load<${lt}>(${B})); ${NEXT}`);
  }
  const lea = (bits) => ({ kind: 'lea', bits, uses: bits < 32 ? 'a m' : 'm', sets: 'a' });
  op('LEA64', 0, lea(64), `store<u64>(${A}, ea_offset(cpu, u)); ${NEXT}`);
  op('LEA64_BD', 0, lea(64), `store<u64>(${A}, ea_bd(cpu, u)); ${NEXT}`);
  op('LEA64_BIS', 0, lea(64), `store<u64>(${A}, ea_bis(cpu, u)); ${NEXT}`);
  op('LEA32', 0, lea(32), `store<u64>(${A}, <u64><u32>ea_offset(cpu, u)); ${NEXT}`);
  op('LEA16', 0, lea(16), `store<u16>(${A}, <u16>ea_offset(cpu, u)); ${NEXT}`);
}

function stackMoves(op) {
  const push = (v) => `{ const v = ${v}; const sp = load<u64>(cpu, RSP) - 8; ${write(8, 'sp', 'v', 'store<u64>(cpu, sp, RSP);')} ${NEXT} }`;
  op('PUSH64', FAULTS, { kind: 'push', uses: 'a rsp', sets: 'rsp' }, push(`load<u64>(${A})`));
  op('PUSH64_I', FAULTS, { kind: 'push_imm', uses: 'rsp', sets: 'rsp' }, push('<u64><i64>load<i32>(u, U_DISP)'));
  op('POP64', FAULTS, { kind: 'pop', uses: 'rsp', sets: 'a rsp' },
    `{ const sp = load<u64>(cpu, RSP); ${read('u64', 8, 'sp', false)} store<u64>(cpu, sp + 8, RSP); store<u64>(${A}, v); ${NEXT} }`);
  op('LEAVE64', FAULTS, { kind: 'leave', uses: 'rbp', sets: 'rsp rbp' },
    `{ const sp = load<u64>(cpu, RBP); ${read('u64', 8, 'sp', false)} store<u64>(cpu, sp + 8, RSP); store<u64>(cpu, v, RBP); ${NEXT} }`);
}

export function moveOps(op) {
  registerMoves(op);
  memoryMoves(op);
  extensions(op);
  stackMoves(op);
  const both = (bits) => ({ kind: 'xchg', bits, uses: 'a b', sets: 'a b' });
  op('XCHG_RR64', 0, both(64), `{ const a = load<u64>(${A}); store<u64>(${A}, load<u64>(${B})); store<u64>(${B}, a); ${NEXT} }`);
  op('XCHG_RR32', 0, both(32), `{ const a = load<u32>(${A}); const b = load<u32>(${B}); store<u64>(${A}, <u64>b); store<u64>(${B}, <u64>a); ${NEXT} }`);
  op('BSWAP32', 0, { kind: 'bswap', bits: 32, uses: 'a', sets: 'a' }, `store<u64>(${A}, <u64>bswap<u32>(load<u32>(${A}))); ${NEXT}`);
  op('BSWAP64', 0, { kind: 'bswap', bits: 64, uses: 'a', sets: 'a' }, `store<u64>(${A}, bswap<u64>(load<u64>(${A}))); ${NEXT}`);
  op('CDQE', 0, { kind: 'acc', op: 'CDQE', uses: 'rax', sets: 'rax' }, `store<u64>(cpu, <u64><i64>load<i32>(cpu)); ${NEXT}`);
  op('CDQ', 0, { kind: 'acc', op: 'CDQ', uses: 'rax', sets: 'rdx' }, `store<u64>(cpu, <u64><u32>(load<i32>(cpu) >> 31), 16); ${NEXT}`);
  op('CQO', 0, { kind: 'acc', op: 'CQO', uses: 'rax', sets: 'rdx' }, `store<i64>(cpu, load<i64>(cpu) >> 63, 16); ${NEXT}`);
}
