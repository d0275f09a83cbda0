/** Counted time: one clock for all vCPUs, timers at their instruction, the hash and the log of executed blocks. */
import { beforeAll, describe, expect, it } from 'vitest';
import { COUNT_BASE, EXEC_LOG_BASE, EXEC_LOG_ENTRY, EXEC_LOG_MAX } from '../../../assembly/core/layout.ts';
import { FIELD, SysMachine, testCore } from '../../support/cpu/sys.ts';

let module: WebAssembly.Module;
beforeAll(() => {
  module = testCore();
});

// Local APIC registers (SDM Vol. 3A, table 11-1).
const SVR = 0xf0;
const LVT_TIMER = 0x320;
const TMICT = 0x380;
const TDCR = 0x3e0;
const IRR = 0x200;
const VECTOR = 0x45;
const PERIODIC = 1 << 17;
const TSC_DEADLINE = 0x6e0;
const MOST = 50_000;
const FAULT_LEAVE = 3;

function machine(k: number, cpus = 1): SysMachine {
  const m = new SysMachine(module, cpus, 0, k);
  for (let i = 0; i < cpus; i++) {
    m.call('lapic_write', m.cpu(i), SVR, 0x1ff);
    m.call('lapic_write', m.cpu(i), TDCR, 0xb); // divide by 1
  }
  return m;
}

/** `n` more instructions of vCPU 0 have retired. */
function retire(m: SysMachine, n: bigint): void {
  m.set64(FIELD.icount, m.get64(FIELD.icount) + n);
}

const insns = (m: SysMachine): number => m.call('timer_insns', m.cpu(), MOST);
/** Whether the timer's interrupt has been requested; forgets it. */
function fired(m: SysMachine): boolean {
  const at = m.cpu() + 0x1000 + IRR + (VECTOR >> 5) * 0x10;
  const bit = 1 << (VECTOR & 31);
  const set = (m.view.getUint32(at, true) & bit) !== 0;
  m.view.setUint32(at, m.view.getUint32(at, true) & ~bit, true);
  return set;
}

describe('timers', () => {
  it.each([[1, 10, 10], [4, 10, 3], [4, 12, 3], [1024, 1, 1]])('with %i ns an instruction a timer of %i ns fires before instruction %i', (k, ns, after) => {
    const m = machine(k);
    expect(insns(m)).toBe(MOST);
    m.call('lapic_write', m.cpu(), LVT_TIMER, VECTOR);
    m.call('lapic_write', m.cpu(), TMICT, ns);
    for (let left = after; left > 0; left--) {
      expect(insns(m)).toBe(left);
      m.call('timer_poll', m.cpu());
      expect(fired(m)).toBe(false);
      retire(m, 1n);
    }
    expect(insns(m)).toBe(0);
    m.call('timer_poll', m.cpu());
    expect(fired(m)).toBe(true);
    expect(insns(m)).toBe(MOST);
  });

  it('a periodic one fires at each multiple, and time that nobody ran counts', () => {
    const m = machine(1);
    m.call('lapic_write', m.cpu(), LVT_TIMER, VECTOR | PERIODIC);
    m.call('lapic_write', m.cpu(), TMICT, 100);
    retire(m, 99n);
    expect(insns(m)).toBe(1);
    m.call('count_set_clock', m.cpu(), 250n);
    expect(insns(m)).toBe(0);
    m.call('timer_poll', m.cpu());
    expect(fired(m)).toBe(true);
    expect(insns(m)).toBe(50);
  });

  it('setting one ends the block, so that its time is looked at before the next instruction; in host time it does not', () => {
    for (const [k, kind] of [[1, FAULT_LEAVE], [0, 0]] as const) {
      const set: ((m: SysMachine) => void)[] = [
        (m) => m.call('lapic_write', m.cpu(), TMICT, 100),
        (m) => m.call('io_out', m.cpu(), 0x43, 1, 0x34),
        (m) => {
          m.call('lapic_write', m.cpu(), LVT_TIMER, VECTOR | (1 << 18));
          m.call('msr_write', m.cpu(), TSC_DEADLINE, 1n << 60n);
        },
      ];
      for (const act of set) {
        const m = machine(k);
        m.view.setUint32(m.cpu() + m.call('cpu_field', FIELD.fault), 0, true);
        act(m);
        expect(m.get32(FIELD.fault)).toBe(kind);
      }
    }
  });
});

describe('the clock', () => {
  it('is one for all vCPUs: the TSC of the next turn never lies before that of the last', () => {
    const m = machine(2, 2);
    m.call('count_set_clock', m.cpu(0), 0n);
    retire(m, 50n);
    const now = m.call64('count_clock', m.cpu(0));
    expect(now).toBe(100n);
    expect(m.call64('tsc_now', m.cpu(0))).toBe(100n);
    m.call('count_set_clock', m.cpu(1), now);
    expect(m.call64('tsc_now', m.cpu(1))).toBe(100n);
    m.set64(FIELD.icount, 7n, 1);
    expect(m.call64('count_clock', m.cpu(1))).toBe(114n);
    m.call('count_set_clock', m.cpu(0), 114n);
    expect(m.call64('tsc_now', m.cpu(0))).toBe(114n);
    expect(m.get64(FIELD.icount, 0)).toBe(50n);
  });

  it('a vCPU that waits for its start-up IPI has no timer', () => {
    const m = machine(1, 2);
    m.call('lapic_write', m.cpu(1), LVT_TIMER, VECTOR);
    m.call('lapic_write', m.cpu(1), TMICT, 100);
    expect(m.call('count_timer', m.cpu(1))).toBe(Infinity);
    m.call('lapic_write', m.cpu(0), LVT_TIMER, VECTOR);
    m.call('lapic_write', m.cpu(0), TMICT, 100);
    expect(m.call('count_timer', m.cpu(0))).toBe(100);
  });
});

describe('hash and log', () => {
  const fold = (change: (m: SysMachine) => void): bigint => {
    const m = machine(1, 2);
    m.call('count_clear');
    change(m);
    return m.call64('count_fold', m.cpu(0));
  };

  it('the hash tells apart registers, counts, the order of turns and whose they were, and not how a turn was run', () => {
    const same = fold(() => {});
    expect(fold(() => {})).toBe(same);
    const others = [
      fold((m) => m.setGpr(15, 1n)),
      fold((m) => m.setGpr(14, 1n)),
      fold((m) => retire(m, 1n)),
      fold((m) => m.set64(23, 1n)), // REP iterations
      fold((m) => m.call('count_fold', m.cpu(1))),
    ];
    expect(new Set([same, ...others]).size).toBe(others.length + 1);
    const order = (first: bigint, second: bigint): bigint => fold((m) => {
      for (const value of [first, second]) {
        m.setGpr(3, value);
        m.call64('count_fold', m.cpu(0));
      }
    });
    expect(order(1n, 2n)).not.toBe(order(2n, 1n));
    expect(fold((m) => {
      m.call('count_trace', m.cpu(0), 1);
      m.call('count_block', m.cpu(0), 0x1000n, 3, 10);
    })).toBe(same);
  });

  it('the log has address, instructions and vCPU of each block, and never more than its room', () => {
    const m = machine(1, 2);
    m.call('count_clear');
    m.call('count_trace', m.cpu(1), 1);
    m.call('count_block', m.cpu(1), 0xffff_ffff_8100_0000n, 5, 100);
    expect(m.view.getUint32(COUNT_BASE + 8, true)).toBe(1);
    expect(BigInt.asUintN(64, m.view.getBigUint64(EXEC_LOG_BASE, true))).toBe(0xffff_ffff_8100_0000n);
    expect([m.view.getUint16(EXEC_LOG_BASE + 12, true), m.view.getUint16(EXEC_LOG_BASE + 14, true)]).toEqual([5, 1]);
    const behind = EXEC_LOG_BASE + EXEC_LOG_MAX * EXEC_LOG_ENTRY;
    for (let i = 0; i < EXEC_LOG_MAX + 2; i++) m.call('count_block', m.cpu(1), 1n, 1, 0);
    expect(m.view.getUint32(COUNT_BASE + 8, true)).toBe(EXEC_LOG_MAX);
    expect(m.view.getUint32(COUNT_BASE + 12, true)).toBe(3);
    expect(m.view.getUint32(behind, true)).toBe(0);
  });
});
