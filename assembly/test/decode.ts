/** For the decoder's tests: one instruction, parsed. */
import { block_vars, blocks_init } from '../cpu/uop/blocks';
import { dec_of, parse } from '../cpu/decode/decode';
import { emit } from '../cpu/decode/emit';
import { OP_SYS } from '../cpu/uop/generated/ops';
import { S_UD } from '../cpu/execute/sysops';
import { U_IMM, U_OP } from '../cpu/uop/uop';

/** What the last t_parse found: 0 memory operand, 1 base, 2 index (16 none, 17 RIP), 3 scale, 4 displacement, 5 immediate. */
export function t_operand(cpu: usize, what: u32): i64 {
  const d = dec_of(cpu);
  switch (what) {
    case 0: return d.mem;
    case 1: return d.base >> 3;
    case 2: return d.index >> 3;
    case 3: return d.index >> 3 == 16 ? 0 : 1 << (d.index & 3);
    case 4: return d.disp;
    default: return <i64>d.imm;
  }
}

/** Length of the instruction at linear offset `p` in `mode`, 0 when undefined, 255 when longer than allowed. */
export function t_parse(cpu: usize, mode: u32, p: usize, avail: u32): u32 {
  const v = block_vars(cpu);
  if (!v.ready) blocks_init(cpu);
  const d = dec_of(cpu);
  d.cpu = <u32>cpu;
  d.mode = mode;
  d.off = 0;
  d.p = <u32>p;
  d.avail = avail;
  d.out = v.next;
  parse(d);
  if (d.long | d.short) return 255;
  const base = d.base;
  const index = d.index;
  const disp = d.disp;
  emit(d, 0, 0);
  d.base = base;
  d.index = index;
  d.disp = disp;
  if (d.long | d.short) return 255;
  if (load<u16>(d.last, U_OP) == OP_SYS && (load<u32>(d.last, U_IMM) & 0xff) == S_UD) return 0;
  return d.pos;
}
