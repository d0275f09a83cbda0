/** Micro-ops that a function does: `call` names it, `uses` and `sets` say which registers it may read and write. */
import { FAULTS, NEXT, READS, WRITES } from './text.mjs';

export function outOfLineOps(op) {
  const call = (name, attr, f, uses, sets) => op(name, attr, { kind: 'helper', call: f, uses, sets }, `${f}(cpu, u); if (load<u32>(cpu, FAULT)) break; ${NEXT}`);
  call('ALU_G', WRITES | READS | FAULTS, 'alu_generic', 'a b m', 'a');
  call('UNARY_G', WRITES | READS | FAULTS, 'unary_generic', 'a m', 'a');
  call('SHIFT_G', READS | FAULTS, 'shift_generic', 'a m rcx', 'a');
  call('MULDIV', READS | FAULTS, 'muldiv', 'a m rax rdx', 'rax rdx');
  call('IMUL_G', WRITES | FAULTS, 'imul_generic', 'a b', 'a');
  call('BIT_G', READS | FAULTS, 'bit_generic', 'a b m', 'a b');
  call('XCHG_G', FAULTS, 'xchg_generic', 'a b m rax rdx rbx rcx', 'a b rax rdx');
  call('SHXD', READS | FAULTS, 'misc_op', 'a b m rcx', 'a');
  call('MISC', READS | FAULTS, 'misc_op', 'all', '');
  call('STACK_G', READS | FAULTS, 'stack_op', 'all', '');
  call('SSE', READS | FAULTS, 'sse_exec', 'm', '');
  call('X87', READS | FAULTS, 'x87_exec', 'all', '');
  op('STRING', READS | FAULTS, { kind: 'string', call: 'jit_string', uses: 'all' },
    `{ const s = string_op(cpu, u); if (s == STRING_AGAIN) { changetype<Cpu>(cpu).rip = start_rip(cpu, blk, u); how = 4; break; } if (load<u32>(cpu, FAULT)) break; ${NEXT} }`);

  // what may come before an instruction's real micro-op
  op('EA_SEG', FAULTS, { kind: 'slow' }, `ea_segmented(cpu, u); if (load<u32>(cpu, FAULT)) break; ${NEXT}`);
  op('CHECK_PAGE2', FAULTS, { kind: 'page2' },
    '{ const s = check_page2(cpu, blk); if (s == 1) { u += UOP_SIZE; continue; } if (s == 2) { changetype<Cpu>(cpu).rip = target; how = 4; } break; }');
}
