/** Micro-ops that end a block. Those of 64-bit mode lead over links or the jump cache; `slow` ones, of the other modes, over cpu.rip. */
import { A, B, CC, calculate, branch, FAULTS, NEXT, READS, read, SUB_CONDITIONS, WIDTHS, WRITES } from './text.mjs';

/** What a compare's condition is in terms of its operands and result. */
const compared = (t) => ({
  B: `<${t[1]}>a < <${t[1]}>b`, NB: `<${t[1]}>a >= <${t[1]}>b`, Z: 'a == b', NZ: 'a != b', BE: `<${t[1]}>a <= <${t[1]}>b`, NBE: `<${t[1]}>a > <${t[1]}>b`,
  S: 'r < 0', NS: 'r >= 0', L: 'a < b', NL: 'a >= b', LE: 'a <= b', NLE: 'a > b',
});
const TESTED = { Z: 'r == 0', NZ: 'r != 0', S: 'r < 0', NS: 'r >= 0', LE: 'r <= 0', NLE: 'r > 0' };
/** The branches that a compare can be fused with. */
export function fusedCondition(op, w, cc) {
  return op === 'CMP' ? compared([w.t, w.u])[cc] : TESTED[cc];
}

function transfers(op) {
  op('END', 0, { kind: 'end' }, 'link = u + UOP_SIZE; off = <i32>load<u16>(u, U_IP); break;');
  op('END_SLOW', 0, { kind: 'slow' }, 'changetype<Cpu>(cpu).rip = next_rip(cpu, u); how = 2; break;');
  op('LEAVE_BLOCK', 0, { kind: 'slow' }, 'changetype<Cpu>(cpu).rip = next_rip(cpu, u); how = 3; break;');
  op('NOP', 0, { kind: 'nop' }, NEXT);
  op('JMP', 0, { kind: 'jmp' }, 'link = u + UOP_SIZE; off = load<i32>(u, U_DISP); break;');
  op('CALL', FAULTS, { kind: 'call', uses: 'rsp', sets: 'rsp' }, `{ const sp = load<u64>(cpu, RSP) - 8;
        wr64(cpu, sp, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT)) { if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break; store<u32>(cpu, 0, FAULT); }
        store<u64>(cpu, sp, RSP); link = u + UOP_SIZE; off = load<i32>(u, U_DISP); break; }`);
  op('RET', FAULTS, { kind: 'ret', uses: 'rsp', sets: 'rsp' }, `{ const sp = load<u64>(cpu, RSP); ${read('u64', 8, 'sp', false)}
        if (!canonical(v)) { raise_gp(cpu); break; }
        store<u64>(cpu, sp + 8 + load<u32>(u, U_IMM), RSP); target = v; how = 1; break; }`);
  op('JMP_R', FAULTS, { kind: 'jmp_r', uses: 'a' }, `{ target = load<u64>(${A}); if (!canonical(target)) { raise_gp(cpu); break; } how = 1; break; }`);
  op('JMP_M', FAULTS, { kind: 'jmp_m', uses: 'm' }, `{ ${read('u64', 8, 'ea(cpu, u)', false)} target = v; if (!canonical(target)) { raise_gp(cpu); break; } how = 1; break; }`);
  // the return address is on the stack before a bad target is noticed, on Intel's processors; RSP is as it was then
  const callTo = `const sp = load<u64>(cpu, RSP) - 8;
        wr64(cpu, sp, load<u64>(cpu, BLOCK) + load<u16>(u, U_IP));
        if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) break;
        if (!canonical(to)) { raise_gp(cpu); break; }
        if (load<u32>(cpu, FAULT) == FAULT_LEAVE) store<u32>(cpu, 0, FAULT);
        store<u64>(cpu, sp, RSP); target = to; how = 1; break;`;
  op('CALL_R', FAULTS, { kind: 'call_r', uses: 'a rsp', sets: 'rsp' }, `{ const to = load<u64>(${A}); ${callTo} }`);
  op('CALL_M', FAULTS, { kind: 'call_m', uses: 'm rsp', sets: 'rsp' }, `{ ${read('u64', 8, 'ea(cpu, u)', false)} const to = v; ${callTo} }`);
}

function branches(op) {
  op('JCC', READS, { kind: 'jcc', cond: 'any' }, branch('cond(cpu, load<u8>(u, U_A))'));
  for (const [cc, e] of Object.entries({ Z: '== 0', NZ: '!= 0', S: '< 0', NS: '>= 0' })) {
    op(`JCC_RES_${cc}`, READS, { kind: 'jcc', cond: 'res', cc }, branch(`load<i64>(cpu, FLAG_RES) ${e}`));
  }
  for (const [cc, [t, o]] of Object.entries(SUB_CONDITIONS)) {
    op(`JCC_SUB_${cc}`, READS, { kind: 'jcc', cond: 'sub', cc }, branch(`load<${t}>(cpu, FLAG_A) ${o} load<${t}>(cpu, FLAG_B)`));
  }
  for (const form of ['RR', 'RI']) {
    for (const w of WIDTHS) {
      const b = form === 'RR' ? `load<${w.t}>(${B})` : `<${w.t}>load<i32>(u, U_IMM)`;
      for (const k of ['CMP', 'TEST']) {
        for (const cc of CC) {
          const c = fusedCondition(k, w, cc);
          if (c === undefined) continue;
          op(`${k}_${form}${w.bits}_J${cc}`, WRITES, { kind: 'cmp_jcc', op: k, form, bits: w.bits, cc, flags: true, uses: form === 'RR' ? 'a b' : 'a' },
            `{ const a = load<${w.t}>(${A}); const b = ${b}; ${calculate(k, w, true)} ${branch(c)} }`);
        }
      }
    }
  }
}

export function flowOps(op) {
  transfers(op);
  branches(op);
  op('LOOP', READS, { kind: 'loop', uses: 'rcx', sets: 'rcx' }, branch('loop_taken(cpu, u)'));
  const slow = (how) => `${how}; how = 2; if (load<u32>(cpu, FAULT) == FAULT_EXCEPTION) how = 0; break;`;
  op('JMP_SLOW', 0, { kind: 'slow' }, slow('jump_slow(cpu, u, true)'));
  op('JCC_SLOW', READS, { kind: 'slow' }, slow('jump_slow(cpu, u, cond(cpu, load<u8>(u, U_A)))'));
  op('LOOP_SLOW', READS, { kind: 'slow' }, slow('jump_slow(cpu, u, loop_taken(cpu, u))'));
  // control transfers and system instructions out of line: cpu.rip is the next instruction's, they may change it
  op('SYS', READS | FAULTS, { kind: 'sys', uses: 'all' },
    'changetype<Cpu>(cpu).rip = next_rip(cpu, u); sys_count(cpu, blk, u, left); sys_op(cpu, u); if (load<u32>(cpu, FAULT) == 0) how = 2; break;');
}
