import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FIELD, SysMachine, testCore } from '../../support/cpu/sys.ts';

const ID = 0x20, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280;
const ICR = 0x300, ICR2 = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_ERROR = 0x370, TMICT = 0x380, TMCCT = 0x390, TDCR = 0x3e0;
const MASKED = 0x1_0000;
const PEND = { INTR: 1, NMI: 2, INIT: 4, SIPI: 8 };

let module: WebAssembly.Module;
let m: SysMachine;
beforeAll(() => {
  module = testCore();
});
beforeEach(() => {
  m = new SysMachine(module, 4);
  for (let i = 0; i < 4; i++) {
    rd(i, ID);
    wr(i, SVR, 0x1ff);
    wr(i, LDR, (1 << i) << 24);
  }
  for (let i = 0; i < 4; i++) m.call('lapic_write', m.cpu(i), LVT_LINT0, MASKED);
});

function rd(cpu: number, reg: number): number {
  return m.call('lapic_read', m.cpu(cpu), reg) >>> 0;
}
function wr(cpu: number, reg: number, v: number): void {
  m.call('lapic_write', m.cpu(cpu), reg, v);
}
function ack(cpu = 0): number {
  return m.call('int_ack', m.cpu(cpu));
}
function irr(cpu: number): number[] {
  const out: number[] = [];
  for (let w = 0; w < 8; w++) for (let b = 0; b < 32; b++) if ((rd(cpu, IRR + w * 16) >>> b) & 1) out.push(w * 32 + b);
  return out;
}
function pending(cpu: number): number {
  return m.get32(FIELD.pending, cpu);
}
function send(from: number, low: number, dest = 0): void {
  wr(from, ICR2, (dest << 24) >>> 0);
  wr(from, ICR, low);
}

describe('local APIC registers', () => {
  it('identity, version and reset values', () => {
    expect(rd(2, ID)).toBe(2 << 24);
    expect(rd(0, 0x30)).toBe(0x0005_0014);
    expect(rd(0, DFR)).toBe(0xffff_ffff);
    m = new SysMachine(module, 2);
    expect(rd(1, LVT_TIMER)).toBe(MASKED);
    expect(rd(0, LVT_LINT0)).toBe(0x700);
    expect(rd(1, LVT_LINT0)).toBe(MASKED);
    expect(rd(0, SVR)).toBe(0xff);
  });

  it('disabling by SVR masks all LVT entries and keeps them masked', () => {
    wr(0, LVT_TIMER, 0x31);
    expect(rd(0, LVT_TIMER)).toBe(0x31);
    wr(0, SVR, 0xff);
    expect(rd(0, LVT_TIMER)).toBe(0x31 | MASKED);
    wr(0, LVT_TIMER, 0x32);
    expect(rd(0, LVT_TIMER)).toBe(0x32 | MASKED);
  });

  it('a reserved register reads 0, and ESR shows it after a write', () => {
    expect(rd(0, 0x40)).toBe(0);
    expect(rd(0, ESR)).toBe(0);
    wr(0, ESR, 0);
    expect(rd(0, ESR)).toBe(0x80);
    wr(0, ESR, 0);
    expect(rd(0, ESR)).toBe(0);
  });

  it('an error raises LVT error\'s vector', () => {
    wr(0, LVT_ERROR, 0xfe);
    send(0, 5, 1); // vector 5 is illegal
    expect(irr(0)).toEqual([0xfe]);
    expect(irr(1)).toEqual([]);
    wr(0, ESR, 0);
    expect(rd(0, ESR)).toBe(0x20);
  });
});

describe('priorities', () => {
  it('the highest vector first; a lower class waits for EOI', () => {
    for (const v of [0x31, 0x45, 0x42, 0x90]) m.call('lapic_set_irr', m.cpu(), v, 0);
    expect(ack()).toBe(0x90);
    expect(rd(0, PPR)).toBe(0x90);
    expect(ack()).toBe(-1);
    wr(0, EOI, 0);
    expect(ack()).toBe(0x45);
    expect(ack()).toBe(-1); // 0x42 is of the same class
    m.call('lapic_set_irr', m.cpu(), 0x51, 0);
    expect(ack()).toBe(0x51); // nested
    wr(0, EOI, 0);
    wr(0, EOI, 0);
    expect(ack()).toBe(0x42);
    wr(0, EOI, 0);
    expect(ack()).toBe(0x31);
    wr(0, EOI, 0);
    expect(ack()).toBe(-1);
    expect(rd(0, ISR + 0x20)).toBe(0);
  });

  it('TPR holds back its class and below; lowering it makes INTR pending', () => {
    wr(0, TPR, 0x50);
    m.call('lapic_set_irr', m.cpu(), 0x5f, 0);
    expect(ack()).toBe(-1);
    m.call('sys_pending', m.cpu());
    expect(pending(0) & PEND.INTR).toBe(0);
    m.call('cr_write', m.cpu(), 8, 4n);
    expect(rd(0, TPR)).toBe(0x40);
    expect(pending(0) & PEND.INTR).toBe(PEND.INTR);
    expect(ack()).toBe(0x5f);
  });

  it('EOI with a waiting interrupt makes INTR pending again', () => {
    m.call('lapic_set_irr', m.cpu(), 0x51, 0);
    m.call('lapic_set_irr', m.cpu(), 0x52, 0);
    expect(ack()).toBe(0x52);
    m.call('sys_pending', m.cpu());
    expect(pending(0) & PEND.INTR).toBe(0);
    wr(0, EOI, 0);
    expect(pending(0) & PEND.INTR).toBe(PEND.INTR);
  });
});

describe('inter-processor interrupts', () => {
  // [name, ICR low, destination, who gets vector 0x44]
  const cases: [string, number, number, number[]][] = [
    ['physical', 0x44, 2, [2]],
    ['physical broadcast', 0x44, 0xff, [0, 1, 2, 3]],
    ['logical flat', 0x844, 0b1010, [1, 3]],
    ['self', 0x4_0044, 0, [0]],
    ['all including self', 0x8_0044, 0, [0, 1, 2, 3]],
    ['all but self', 0xc_0044, 0, [1, 2, 3]],
    ['nobody', 0x44, 9, []],
  ];
  for (const [name, low, dest, to] of cases) {
    it(`${name}: vCPUs ${to.join(',') || 'none'}`, () => {
      send(0, low, dest);
      expect([0, 1, 2, 3].filter((i) => irr(i).includes(0x44))).toEqual(to);
      for (const i of to) expect(pending(i) & PEND.INTR).toBe(PEND.INTR);
    });
  }

  it('logical cluster model', () => {
    for (let i = 0; i < 4; i++) {
      wr(i, DFR, 0x0fff_ffff);
      wr(i, LDR, (((i >> 1) << 4) | (1 << (i & 1))) << 24);
    }
    send(0, 0x844, 0x13);
    expect([0, 1, 2, 3].filter((i) => irr(i).includes(0x44))).toEqual([2, 3]);
  });

  it('lowest priority goes to one, the least busy', () => {
    wr(0, TPR, 0x80);
    wr(1, TPR, 0x20);
    wr(2, TPR, 0x10);
    wr(3, TPR, 0x30);
    send(0, 0x944, 0xff);
    expect([0, 1, 2, 3].filter((i) => irr(i).includes(0x44))).toEqual([2]);
  });

  it('a vCPU with its APIC disabled by software accepts no fixed interrupt, but NMI and INIT', () => {
    wr(1, SVR, 0xff);
    send(0, 0x44, 1);
    expect(irr(1)).toEqual([]);
    send(0, 0x400, 1);
    expect(pending(1)).toBe(PEND.NMI);
  });

  it('INIT, then SIPI: real mode at vector × 4 KiB; a second SIPI is ignored', () => {
    m.set64(FIELD.cr3, 0x1234_5000n, 1);
    send(0, 0xc500, 1); // INIT, level assert
    send(0, 0x8500, 1); // de-assert: nothing
    expect(m.call('sys_pending', m.cpu(1))).toBe(1);
    expect(m.get64(FIELD.cr3, 1)).toBe(0n);
    send(0, 0x69a, 1);
    expect(m.call('sys_pending', m.cpu(1))).toBe(0);
    expect([m.seg(1, 1).selector, m.seg(1, 1).base, m.get64(FIELD.rip, 1)]).toEqual([0x9a00, 0x9_a000n, 0n]);
    m.set64(FIELD.rip, 0x55n, 1);
    send(0, 0x677, 1);
    expect(m.call('sys_pending', m.cpu(1))).toBe(0);
    expect(m.get64(FIELD.rip, 1)).toBe(0x55n);
  });

  it('a secondary vCPU waits after reset and does not take interrupts', () => {
    send(0, 0x44, 1);
    expect(m.call('sys_pending', m.cpu(1))).toBe(1);
  });

  it('KVM hypercalls: send to a set of APIC ids, kick, unknown number', () => {
    m.setGpr(0, 10n);
    m.setGpr(3, 0b101n);
    m.setGpr(1, 0n);
    m.setGpr(2, 1n);
    m.setGpr(6, 0x44n);
    m.call('vmcall', m.cpu());
    expect(m.gpr(0)).toBe(2n);
    expect([0, 1, 2, 3].filter((i) => irr(i).includes(0x44))).toEqual([1, 3]);
    m.setGpr(0, 99n);
    m.call('vmcall', m.cpu());
    expect(BigInt.asIntN(64, m.gpr(0))).toBe(-1000n);
    m.setCpl(3);
    m.setGpr(0, 10n);
    m.call('vmcall', m.cpu());
    expect(BigInt.asIntN(64, m.gpr(0))).toBe(-1n);
  });
});

describe('paravirtual kick', () => {
  function kick(apic: bigint): void {
    m.setGpr(0, 5n);
    m.setGpr(3, 0n);
    m.setGpr(1, apic);
    m.call('vmcall', m.cpu());
  }

  it('ends HLT with interrupts off', () => {
    m.call('hlt', m.cpu());
    m.takeFault();
    expect(m.call('sys_pending', m.cpu())).toBe(1);
    kick(0n);
    expect(m.call('cpu_wait', m.cpu(), 1e9)).toBe(1);
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    expect(m.get32(FIELD.halted)).toBe(0);
  });

  it('that comes before HLT ends it at once, and only once', () => {
    kick(0n);
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    m.call('hlt', m.cpu());
    m.takeFault();
    expect(m.call('sys_pending', m.cpu())).toBe(0);
    m.call('hlt', m.cpu());
    m.takeFault();
    expect(m.call('sys_pending', m.cpu())).toBe(1);
  });
});

describe('APIC timer', () => {
  const at = (ns: number): void => {
    m.now = 1_000_000 + ns;
  };

  it('one-shot: counts down with the divisor, fires once', () => {
    wr(0, LVT_TIMER, 0x31);
    wr(0, TDCR, 3); // 16
    wr(0, TMICT, 1000);
    expect(m.call('timer_left', m.cpu())).toBe(16_000);
    at(8_000);
    expect(rd(0, TMCCT)).toBe(500);
    at(15_999);
    m.call('timer_poll', m.cpu());
    expect(irr(0)).toEqual([]);
    at(16_000);
    m.call('timer_poll', m.cpu());
    expect(irr(0)).toEqual([0x31]);
    expect(rd(0, TMCCT)).toBe(0);
    expect(m.call('timer_left', m.cpu())).toBe(Number.POSITIVE_INFINITY);
  });

  it('periodic: keeps its phase, missed periods count once', () => {
    wr(0, TDCR, 0xb); // 1
    wr(0, LVT_TIMER, 0x2_0031);
    wr(0, TMICT, 10_000);
    at(10_100);
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(0x31);
    wr(0, EOI, 0);
    expect(m.call('timer_left', m.cpu())).toBe(9_900);
    at(55_000);
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(0x31);
    wr(0, EOI, 0);
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(-1);
    expect(m.call('timer_left', m.cpu())).toBe(5_000);
  });

  it('masked it fires nothing; a count of 0 stops it', () => {
    wr(0, LVT_TIMER, 0x31 | MASKED);
    wr(0, TMICT, 100);
    at(10_000);
    m.call('timer_poll', m.cpu());
    expect(irr(0)).toEqual([]);
    wr(0, LVT_TIMER, 0x31);
    wr(0, TMICT, 100);
    wr(0, TMICT, 0);
    expect(m.call('timer_left', m.cpu())).toBe(Number.POSITIVE_INFINITY);
  });

  it('TSC deadline: by MSR, cleared when it fires, at once when it is past', () => {
    m.call('msr_write', m.cpu(), 0x6e0, 5000n);
    expect(m.call64('msr_read', m.cpu(), 0x6e0)).toBe(0n); // not in deadline mode
    wr(0, LVT_TIMER, 0x4_0032);
    const tsc = m.call64('msr_read', m.cpu(), 0x10);
    m.call('msr_write', m.cpu(), 0x6e0, tsc + 5000n);
    expect(m.call64('msr_read', m.cpu(), 0x6e0)).toBe(tsc + 5000n);
    wr(0, TMICT, 77); // ignored in this mode
    at(5000);
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(0x32);
    wr(0, EOI, 0);
    expect(m.call64('msr_read', m.cpu(), 0x6e0)).toBe(0n);
    m.call('msr_write', m.cpu(), 0x6e0, 1n);
    expect(ack()).toBe(0x32);
  });

  it('the wait of a halted vCPU ends with its deadline and fires the timer', () => {
    wr(0, TDCR, 0xb);
    wr(0, LVT_TIMER, 0x31);
    wr(0, TMICT, 1);
    at(1);
    expect(m.call('cpu_wait', m.cpu(), 1e9)).toBe(1);
    expect(irr(0)).toEqual([0x31]);
    expect(m.call('cpu_wait', m.cpu(1), 0)).toBe(0);
  });

  it('with counted time the wait jumps to the deadline, the same each run', () => {
    m = new SysMachine(module, 1, 0, 2);
    m.set64(FIELD.icount, 1000n);
    wr(0, SVR, 0x1ff);
    expect(m.call64('msr_read', m.cpu(), 0x10)).toBe(2000n);
    wr(0, TDCR, 0xb);
    wr(0, LVT_TIMER, 0x31);
    wr(0, TMICT, 7_000);
    expect(m.call('cpu_wait', m.cpu(), 1_000)).toBe(0);
    expect(m.call('cpu_wait', m.cpu(), 1e9)).toBe(1);
    expect(m.call64('msr_read', m.cpu(), 0x10)).toBe(9000n);
    expect(irr(0)).toEqual([0x31]);
  });

  const writeTsc = (v: bigint, cpu = 0): void => {
    m.call('msr_write', m.cpu(cpu), 0x10, v);
  };
  /** Values to write: near 0 (a time before the timer was set), and years ahead. */
  const TSCS = [0n, 5n, 1n << 60n];

  it.each(TSCS)('one-shot and periodic: a write of TSC %i changes neither what is left nor the period', (tsc) => {
    wr(0, TDCR, 0xb);
    for (const lvt of [0x31, 0x2_0031]) {
      const start = m.now;
      wr(0, LVT_TIMER, lvt);
      wr(0, TMICT, 100_000_000);
      m.now = start + 30_000_000;
      writeTsc(tsc);
      expect(m.call64('msr_read', m.cpu(), 0x10)).toBe(tsc);
      expect(m.call('timer_left', m.cpu())).toBe(70_000_000);
      expect(rd(0, TMCCT)).toBe(70_000_000);
      m.now = start + 99_999_999;
      m.call('timer_poll', m.cpu());
      expect(ack()).toBe(-1);
      m.now = start + 100_000_000;
      m.call('timer_poll', m.cpu());
      expect(ack()).toBe(0x31);
      wr(0, EOI, 0);
      expect(m.call('timer_left', m.cpu())).toBe(lvt === 0x31 ? Number.POSITIVE_INFINITY : 100_000_000);
    }
  });

  it('a timer that was due before the TSC was written fires at the write', () => {
    wr(0, TDCR, 0xb);
    wr(0, LVT_TIMER, 0x31);
    wr(0, TMICT, 1000);
    at(2000);
    writeTsc(0n);
    expect(ack()).toBe(0x31);
    expect(m.call('timer_left', m.cpu())).toBe(Number.POSITIVE_INFINITY);
  });

  it('a stopped timer stays stopped when the TSC is written', () => {
    for (const tsc of TSCS) {
      writeTsc(tsc);
      expect(m.call('timer_left', m.cpu())).toBe(Number.POSITIVE_INFINITY);
    }
  });

  it('TSC deadline: its value stays, so a write of the TSC moves when it fires', () => {
    wr(0, LVT_TIMER, 0x4_0032);
    m.call('msr_write', m.cpu(), 0x6e0, 1n << 40n);
    writeTsc((1n << 40n) - 500n);
    expect(m.call64('msr_read', m.cpu(), 0x6e0)).toBe(1n << 40n);
    expect(m.call('timer_left', m.cpu())).toBe(500);
    writeTsc(1n << 40n);
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(0x32);
  });

  it('with counted time a deadline that a write of the TSC brings near is looked at before the next instruction', () => {
    m = new SysMachine(module, 1, 0, 1);
    wr(0, SVR, 0x1ff);
    wr(0, LVT_TIMER, 0x4_0032);
    m.call('msr_write', m.cpu(), 0x6e0, 1n << 40n);
    m.view.setUint32(m.cpu() + m.call('cpu_field', FIELD.fault), 0, true);
    writeTsc((1n << 40n) - 7n);
    expect(m.get32(FIELD.fault)).toBe(3); // FAULT_LEAVE
    expect(m.call('timer_insns', m.cpu(), 1000)).toBe(7);
  });

  it('the TSC never runs backward', () => {
    at(500);
    const a = m.call64('msr_read', m.cpu(), 0x10);
    at(400);
    expect(m.call64('msr_read', m.cpu(), 0x10)).toBe(a);
    m.call('msr_write', m.cpu(), 0x10, 123_456_789_012n);
    at(600);
    expect(m.call64('msr_read', m.cpu(), 0x10)).toBe(123_456_789_112n);
  });
});

describe('IOAPIC', () => {
  function reg(index: number, v?: number): number {
    m.call('ioapic_write', 0, index);
    if (v !== undefined) m.call('ioapic_write', 0x10, v);
    return m.call('ioapic_read', 0x10) >>> 0;
  }
  function route(pin: number, low: number, dest = 0): void {
    reg(0x11 + pin * 2, (dest << 24) >>> 0);
    reg(0x10 + pin * 2, low);
  }
  const line = (pin: number, level: number): void => {
    m.call('ioapic_set_irq', pin, level);
  };

  it('version, id, masked at reset; read-only bits stay', () => {
    expect(reg(1)).toBe(0x0017_0011);
    expect(reg(0)).toBe(4 << 24);
    expect(reg(0x10)).toBe(MASKED);
    expect(reg(0x10, 0xffff_ffff)).toBe(0x1_afff);
    expect(reg(0x10 + 24 * 2)).toBe(0);
  });

  it('edge: one interrupt per rising edge, to the right vCPU', () => {
    route(7, 0x51, 2);
    line(7, 1);
    expect(irr(2)).toEqual([0x51]);
    expect(ack(2)).toBe(0x51);
    line(7, 1);
    expect(irr(2)).toEqual([]);
    line(7, 0);
    line(7, 1);
    expect(irr(2)).toEqual([0x51]);
  });

  it('an edge at a masked pin comes when the mask goes', () => {
    route(7, 0x51 | MASKED);
    line(7, 1);
    line(7, 0);
    expect(irr(0)).toEqual([]);
    route(7, 0x51);
    expect(irr(0)).toEqual([0x51]);
  });

  it('level: remote IRR until EOI, then again while the line is high', () => {
    route(9, 0x8051);
    line(9, 1);
    expect(ack()).toBe(0x51);
    expect(reg(0x10 + 18) & 0x4000).toBe(0x4000);
    line(9, 1);
    expect(irr(0)).toEqual([]);
    wr(0, EOI, 0);
    expect(ack()).toBe(0x51);
    line(9, 0);
    wr(0, EOI, 0);
    expect(irr(0)).toEqual([]);
    expect(reg(0x10 + 18) & 0x4000).toBe(0);
  });

  it('logical destination and NMI delivery', () => {
    route(3, 0x861, 0b0110);
    line(3, 1);
    expect([0, 1, 2, 3].filter((i) => irr(i).includes(0x61))).toEqual([1, 2]);
    route(4, 0x400, 3);
    line(4, 1);
    expect(pending(3)).toBe(PEND.NMI);
  });

  it('lines beyond the pins are ignored', () => {
    line(24, 1);
    line(0xffff_ffff, 1);
    expect([0, 1, 2, 3].flatMap(irr)).toEqual([]);
  });
});

describe('8259 pair and PIT', () => {
  const out = (port: number, v: number): void => {
    m.call('io_out', m.cpu(), port, 1, v);
  };
  const inp = (port: number): number => m.call('io_in', m.cpu(), port, 1);
  const line = (pin: number, level: number): void => {
    m.call('ioapic_set_irq', pin, level);
  };
  function init(): void {
    for (const [port, base, icw3] of [[0x20, 0x20, 4], [0xa0, 0x28, 2]] as const) {
      out(port, 0x11);
      out(port + 1, base);
      out(port + 1, icw3);
      out(port + 1, 1);
      out(port + 1, 0);
    }
    wr(0, LVT_LINT0, 0x700);
  }

  it('the mask register reads back what was written: kernels probe by it', () => {
    out(0x21, 0xff);
    out(0x21, 0xf7);
    expect(inp(0x21)).toBe(0xf7);
    out(0xa1, 0x5a);
    expect(inp(0xa1)).toBe(0x5a);
  });

  it('IRQ 3 and IRQ 12: vectors, priority, EOI', () => {
    init();
    line(12, 1);
    expect(ack()).toBe(0x2c);
    line(3, 1);
    expect(ack()).toBe(-1); // the cascade, line 2, is in service and goes before 3
    out(0xa0, 0x20);
    out(0x20, 0x20);
    expect(ack()).toBe(0x23);
    out(0x20, 0x20);
    expect(ack()).toBe(-1);
  });

  it('a masked line waits; OCW3 reads the request and service registers', () => {
    init();
    out(0x21, 0x08);
    line(3, 1);
    expect(ack()).toBe(-1);
    out(0x20, 0x0a);
    expect(inp(0x20)).toBe(0x08);
    out(0x21, 0);
    expect(ack()).toBe(0x23);
    out(0x20, 0x0b);
    expect(inp(0x20)).toBe(0x08);
  });

  it('it is not seen when LINT0 is masked', () => {
    init();
    wr(0, LVT_LINT0, 0x1_0700);
    line(3, 1);
    expect(ack()).toBe(-1);
  });

  it('channel 0 ticks: mode 2, 11932 counts are 10 ms', () => {
    init();
    out(0x43, 0x34);
    out(0x40, 11_932 & 255);
    out(0x40, 11_932 >> 8);
    expect(m.call('timer_left', m.cpu())).toBeGreaterThan(9_990_000);
    m.now += 10_100_000;
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(0x20);
    out(0x20, 0x20);
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(-1);
    m.now += 10_000_000;
    m.call('timer_poll', m.cpu());
    expect(ack()).toBe(0x20);
  });

  it('channel 0 ticks in phase after hours, also where its ticks × 10⁹ are beyond 64 bits (4.3 hours)', () => {
    const HZ = 1_193_182n;
    const start = BigInt(m.now);
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0); // 65536 counts: 54.9 ms
    for (const hours of [1, 4, 5, 100, 10_000]) {
      m.now = Number(start) + hours * 3_600_000_000_000;
      m.call('timer_poll', m.cpu());
      const ticks = ((BigInt(m.now) - start) * HZ) / 1_000_000_000n;
      const next = ((ticks / 65_536n + 1n) * 65_536n * 1_000_000_000n + HZ - 1n) / HZ;
      expect([hours, m.call('timer_left', m.cpu())]).toEqual([hours, Number(start + next - BigInt(m.now))]);
    }
  });

  it.each([0n, 1n << 60n])('a write of TSC %i moves no channel: the tick comes in its time, counter and output go on', (tsc) => {
    out(0x61, 1);
    out(0x43, 0xb0);
    out(0x42, 0x9b);
    out(0x42, 0x2e); // channel 2, 11931 counts: 10 ms
    out(0x43, 0x34);
    out(0x40, 0x9c);
    out(0x40, 0x2e); // channel 0, 11932 counts
    const left = m.call<number>('timer_left', m.cpu());
    const count = (): number => {
      out(0x43, 0);
      return inp(0x40) | (inp(0x40) << 8);
    };
    m.now += 4_000_000;
    const before = count();
    m.call('msr_write', m.cpu(), 0x10, tsc);
    expect(m.call('timer_left', m.cpu())).toBe(left - 4_000_000);
    expect(count()).toBe(before);
    m.now += 5_900_000;
    expect(inp(0x61) & 0x20).toBe(0);
    m.now += 200_000;
    expect(inp(0x61) & 0x20).toBe(0x20);
    m.call('timer_poll', m.cpu());
    expect(m.call('timer_left', m.cpu())).toBe(2 * left - 10_100_000);
  });

  it('is the same time for all vCPUs, whatever one of them wrote to its TSC', () => {
    m.call('msr_write', m.cpu(1), 0x10, 1n << 50n);
    const by1 = (port: number, v: number): void => {
      m.call('io_out', m.cpu(1), port, 1, v);
    };
    by1(0x43, 0x34);
    by1(0x40, 0x9c);
    by1(0x40, 0x2e);
    expect(m.call('timer_left', m.cpu())).toBe(Math.ceil((11_932 * 1e9) / 1_193_182));
    expect(m.call('timer_left', m.cpu(1))).toBe(Number.POSITIVE_INFINITY);
    m.now += 1_000_000; // 1193 counts
    by1(0x43, 0);
    const low = m.call<number>('io_in', m.cpu(1), 0x40, 1);
    expect(low | (m.call<number>('io_in', m.cpu(1), 0x40, 1) << 8)).toBe(11_932 - 1193);
  });

  it('wakes vCPU 0, which runs it, when another one programs it', () => {
    expect(m.call('cpu_wait', m.cpu(), 0)).toBe(0);
    for (const [port, v] of [[0x43, 0x34], [0x40, 0x9c], [0x40, 0x2e]] as const) m.call('io_out', m.cpu(1), port, 1, v);
    expect(m.call('cpu_wait', m.cpu(), 0)).toBe(1);
    expect(m.call('cpu_wait', m.cpu(1), 0)).toBe(0);
  });

  it('channel 2 by port 0x61: output rises after the count', () => {
    out(0x61, 1);
    out(0x43, 0xb0);
    out(0x42, 0x9b);
    out(0x42, 0x2e); // 11931: 10 ms
    expect(inp(0x61) & 0x20).toBe(0);
    m.now += 9_900_000;
    expect(inp(0x61) & 0x20).toBe(0);
    m.now += 200_000;
    expect(inp(0x61) & 0x20).toBe(0x20);
  });

  it('a latched count is read low byte first and does not move', () => {
    out(0x43, 0x34);
    out(0x40, 0);
    out(0x40, 0x80);
    m.now += 1_000_000; // 1193 counts
    out(0x43, 0);
    m.now += 1_000_000;
    const v = inp(0x40) | (inp(0x40) << 8);
    expect(v).toBe(0x8000 - 1193);
  });
});
