import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePacket, toHex } from '../../../vmm/gdb/packets.ts';
import { REGISTERS } from '../../../vmm/gdb/registers.ts';
import { Conversation, FakeMachine, PAGE } from '../../support/guests/gdb-target.ts';

const hex = (text: string): string => toHex(Buffer.from(text));
const index = (name: string): string => REGISTERS.findIndex((register) => register.name === name).toString(16);

describe('hand-shake', () => {
  it('qSupported names what is offered, QStartNoAckMode ends acknowledgements', async () => {
    const gdb = await new Conversation().begin();
    const supported = await gdb.ask('qSupported:swbreak+;hwbreak+;xmlRegisters=i386');
    for (const word of ['PacketSize=4000', 'qXfer:features:read+', 'QStartNoAckMode+', 'swbreak+', 'hwbreak+']) expect(supported).toContain(word);
    expect(gdb.acks).toBe('+');
    expect(await gdb.ask('QStartNoAckMode')).toBe('OK');
    await gdb.ask('?');
    expect(gdb.acks).toBe('++');
  });

  it('unknown packets get an empty answer, as the protocol wants', async () => {
    const gdb = await new Conversation().begin();
    for (const packet of ['!', 'vMustReplyEmpty', 'qTStatus', 'QPassSignals:', 'Z7,0,1', 'b', '']) expect(await gdb.ask(packet), packet).toBe('');
  });

  it('target.xml comes in pieces that join, and only by its name', async () => {
    const gdb = await new Conversation().begin();
    let xml = '';
    for (;;) {
      const part = await gdb.ask(`qXfer:features:read:target.xml:${xml.length.toString(16)},1f0`);
      xml += part.slice(1);
      if (part[0] === 'l') break;
      expect(part[0]).toBe('m');
    }
    expect(xml).toMatch(/^<\?xml .*<\/target>$/s);
    expect([...xml.matchAll(/<reg name="(\w+)"/g)].map((match) => match[1])).toEqual(REGISTERS.map((register) => register.name));
    expect(await gdb.ask('qXfer:features:read:../../etc/passwd:0,100')).toBe('E00');
    expect(await gdb.ask('qXfer:features:read:target.xml:zz,1')).toBe('E16');
    expect(await gdb.ask('qXfer:features:read:target.xml:fffffff,10')).toBe('l');
  });

  it('a lost answer is sent again at a NAK; a bad packet gets one', async () => {
    const gdb = await new Conversation().begin();
    expect(await gdb.ask('qC')).toBe('QC1');
    gdb.raw(Buffer.from('-'));
    expect(await gdb.reply()).toBe('QC1');
    gdb.raw(Buffer.from('$qC#00'));
    expect(gdb.acks).toBe('+-');
  });
});

describe('threads', () => {
  it('thread n is vCPU n - 1', async () => {
    const gdb = await new Conversation().begin();
    gdb.machine.registers(0).set('rip', 0x10n);
    gdb.machine.registers(1).set('rip', 0x20n);
    expect(await gdb.ask('qfThreadInfo')).toBe('m1,2');
    expect(await gdb.ask('qsThreadInfo')).toBe('l');
    expect(await gdb.ask('qThreadExtraInfo,2')).toBe(hex('vCPU 1 [not started]'));
    expect(await gdb.ask('Hg2')).toBe('OK');
    expect(await gdb.ask(`p${index('rip')}`)).toBe('2000000000000000');
    expect(await gdb.ask('Hg0')).toBe('OK');
    expect(await gdb.ask('T2')).toBe('OK');
    for (const packet of ['Hg3', 'T3', 'T0', 'Hgx', 'qThreadExtraInfo,9']) expect(await gdb.ask(packet), packet).toBe('E03');
  });
});

describe('registers', () => {
  it('g has all registers in order, x for those that the machine does not have', async () => {
    const gdb = await new Conversation().begin();
    for (const { source } of REGISTERS) gdb.machine.registers(0).set(source, 1n);
    gdb.machine.registers(0).delete('cr8');
    const all = await gdb.ask('g');
    let at = 0;
    for (const { name, bits } of REGISTERS) {
      const digits = all.slice(at, at + bits / 4);
      expect(digits, name).toBe(name === 'cr8' ? 'x'.repeat(16) : `01${'0'.repeat(bits / 4 - 2)}`);
      at += bits / 4;
    }
    expect(at).toBe(all.length);
  });

  it('G sets only what differs', async () => {
    const gdb = await new Conversation().begin();
    for (const { source } of REGISTERS) gdb.machine.registers(0).set(source, 5n);
    const all = await gdb.ask('g');
    expect(await gdb.ask(`G${'ff'.repeat(8)}${all.slice(16)}`)).toBe('OK');
    expect(gdb.machine.noted).toEqual(['set 0 rax=ffffffffffffffff']);
  });

  it('P sets one, refuses wrong sizes and registers that cannot be set', async () => {
    const gdb = await new Conversation().begin();
    gdb.machine.readOnly.add('cs');
    expect(await gdb.ask(`P${index('xmm3')}=${'0102'.repeat(8)}`)).toBe('OK');
    expect(gdb.machine.registers(0).get('xmm3')).toBe(0x02010201020102010201020102010201n);
    expect(await gdb.ask(`P${index('eflags')}=46000000`)).toBe('OK');
    expect(gdb.machine.registers(0).get('rflags')).toBe(0x46n);
    for (const packet of [`P${index('cs')}=10000000`, `P${index('rax')}=00`, 'Pffff=00', 'P=', 'P', `P${index('rax')}=zz00000000000000`, 'pfff', 'p']) {
      expect(await gdb.ask(packet), packet).toBe('E16');
    }
  });
});

describe('memory', () => {
  const two = async (): Promise<Conversation> => {
    const gdb = await new Conversation().begin();
    gdb.machine.map.set(0xffffffff81000n, 2);
    gdb.machine.map.set(0xffffffff81001n, 5);
    return gdb;
  };

  it('reads go by virtual address over pages that lie apart', async () => {
    const gdb = await two();
    gdb.machine.ram.set([1, 2], 3 * PAGE - 2);
    gdb.machine.ram.set([3, 4], 5 * PAGE);
    expect(await gdb.ask('mffffffff81000ffe,4')).toBe('01020304');
  });

  it('a read stops at a page that is not mapped; none at all is E0e', async () => {
    const gdb = await two();
    expect((await gdb.ask('mffffffff81001ffc,8')).length).toBe(8);
    expect(await gdb.ask('m1000,4')).toBe('E0e');
    gdb.machine.map.set(7n, 100);
    expect(await gdb.ask('m7000,4')).toBe('E0e');
  });

  it('M and X write, tell the core, and write nothing when a page is missing', async () => {
    const gdb = await two();
    expect(await gdb.ask('Mffffffff81000fff,2:abcd')).toBe('OK');
    expect([gdb.machine.ram[3 * PAGE - 1], gdb.machine.ram[5 * PAGE]]).toEqual([0xab, 0xcd]);
    expect(gdb.machine.noted).toEqual([`written ${3 * PAGE - 1}+1`, `written ${5 * PAGE}+1`]);
    const binary = Buffer.concat([Buffer.from('Xffffffff81000000,5:'), Buffer.from([0x24, 0x23, 0x7d, 0x2a, 0x3a])]);
    expect(await gdb.ask(binary)).toBe('OK');
    expect([...gdb.machine.ram.subarray(2 * PAGE, 2 * PAGE + 5)]).toEqual([0x24, 0x23, 0x7d, 0x2a, 0x3a]);
    expect(await gdb.ask('Xffffffff81000000,0:')).toBe('OK');
    const before = gdb.machine.ram.slice();
    expect(await gdb.ask('Mffffffff81001fff,2:1111')).toBe('E0e');
    expect(gdb.machine.ram).toEqual(before);
  });

  it('an address at the very end wraps to nothing bad', async () => {
    const gdb = await two();
    gdb.machine.map.set(0xfffffffffffffn, 1);
    expect((await gdb.ask('mfffffffffffffff8,10')).length).toBe(16);
  });

  it('malformed ranges are E16', async () => {
    const gdb = await two();
    for (const packet of ['m', 'm1', 'm1,', 'mx,1', 'm1,2,3', 'm11111111111111111,1', 'm0,fffffffff', 'M0,2:11', 'M0,1', 'X0,2:a', 'X']) expect(await gdb.ask(packet), packet).toBe('E16');
  });
});

describe('breakpoints', () => {
  it('reach the machine with the resume, once for the same set', async () => {
    const gdb = await new Conversation().begin();
    expect(await gdb.ask('Z0,1000,1')).toBe('OK');
    expect(await gdb.ask('Z2,2004,8')).toBe('OK');
    expect(gdb.machine.noted).toEqual([]);
    await gdb.send('vCont;c');
    expect(gdb.machine.noted).toEqual(['breakpoints execute@1000+1,write@2004+8', 'resume run,run']);
    expect(await gdb.stop({ vcpu: 1, reason: 'breakpoint' })).toBe('T05thread:2;');
    gdb.machine.noted.length = 0;
    await gdb.ask('z0,1000,1');
    await gdb.ask('z2,2004,8');
    await gdb.ask('Z2,2004,8');
    await gdb.ask('Z0,1000,1');
    await gdb.send('c');
    expect(gdb.machine.noted).toEqual(['resume run,run']);
  });

  it('stop replies name the kind', async () => {
    const gdb = await new Conversation().begin();
    await gdb.ask('qSupported:swbreak+;hwbreak+');
    gdb.machine.registers(0).set('rip', 0x1000n);
    gdb.machine.registers(1).set('rip', 0x3000n);
    for (const packet of ['Z0,1000,1', 'Z1,3000,1', 'Z2,2000,4', 'Z4,4000,2']) await gdb.ask(packet);
    const stops = [
      [{ vcpu: 0, reason: 'breakpoint' }, 'T05thread:1;swbreak:;'],
      [{ vcpu: 1, reason: 'breakpoint' }, 'T05thread:2;hwbreak:;'],
      [{ vcpu: 0, reason: 'watchpoint', access: 'write', address: 0x2002n }, 'T05thread:1;watch:2002;'],
      [{ vcpu: 1, reason: 'watchpoint', access: 'read', address: 0x4000n }, 'T05thread:2;awatch:4000;'],
      [{ vcpu: 1, reason: 'step' }, 'T05thread:2;'],
    ] as const;
    for (const [stop, told] of stops) {
      await gdb.send('vCont;c');
      expect(await gdb.stop(stop)).toBe(told);
      expect(await gdb.ask('?')).toBe(told);
    }
  });

  it('too many are E1c, malformed ones E16', async () => {
    const gdb = await new Conversation().begin();
    for (let i = 0; i < 4; i++) expect(await gdb.ask(`Z1,${i}000,1`)).toBe('OK');
    expect(await gdb.ask('Z1,9000,1')).toBe('E1c');
    expect(await gdb.ask('Z1,1000,1'), 'one that is there already').toBe('OK');
    for (const packet of ['Z0', 'Z0,1', 'Z0,x,1', 'Z2,1000,0', 'Z2,ffffffffffffffff,2', 'z0,1']) expect(await gdb.ask(packet), packet).toBe('E16');
  });

  it('on KVM a software breakpoint needs a mapped page', async () => {
    const gdb = await new Conversation(new FakeMachine(1, 'kvm')).begin();
    gdb.machine.map.set(1n, 1);
    expect(await gdb.ask('Z0,1000,1')).toBe('OK');
    expect(await gdb.ask('Z0,2000,1')).toBe('E0e');
    expect(await gdb.ask('Z1,2000,1')).toBe('OK');
  });
});

describe('running', () => {
  it.each([
    ['vCont;c', 'resume run,run'],
    ['vCont;s:2', 'resume hold,step'],
    ['vCont;s:1;c', 'resume step,run'],
    ['vCont;t:1;c', 'resume hold,run'],
    ['vCont;C05:1', 'resume run,hold'],
    ['vCont;S05:1;c:-1', 'resume step,run'],
    ['c', 'resume run,run'],
    ['s', 'resume step,hold'],
    ['C05', 'resume run,run'],
  ])('%s: %s', async (packet, noted) => {
    const gdb = await new Conversation().begin();
    await gdb.send(packet);
    expect(gdb.machine.noted).toEqual([noted]);
  });

  it('an address with c is the new rip', async () => {
    const gdb = await new Conversation().begin();
    await gdb.send('c1234');
    expect(gdb.machine.noted).toEqual(['set 0 rip=1234', 'resume run,run']);
  });

  it('malformed vCont is E16 and starts nothing', async () => {
    const gdb = await new Conversation().begin();
    for (const packet of ['vCont;', 'vCont;x', 'vCont;c:9', 'vCont;C', 'vCont;c05', 'vCont;t', 'vCont;c:', 'czz']) expect(await gdb.ask(packet), packet).toBe('E16');
    expect(gdb.machine.noted).toEqual([]);
    expect(await gdb.ask('vCont?')).toBe('vCont;c;C;s;S;t');
  });

  it('0x03 stops with SIGINT, also right behind the resume in one piece', async () => {
    const gdb = await new Conversation().begin();
    gdb.raw(Buffer.concat([encodePacket('vCont;c'), Buffer.from([3])]));
    expect(await gdb.reply()).toBe('T02thread:1;');
    expect(gdb.machine.noted).toEqual(['resume run,run', 'pause']);
  });

  it('0x03 and packets at the wrong time are passed over', async () => {
    const gdb = await new Conversation().begin();
    gdb.raw(Buffer.from([3]));
    expect(await gdb.ask('qC')).toBe('QC1');
    await gdb.send('c');
    await gdb.send('g');
    expect(await gdb.stop({ vcpu: 0, reason: 'step' })).toBe('T05thread:1;');
  });

  it('a watchpoint that another vCPU hit at the same time is told at the next resume', async () => {
    const gdb = await new Conversation().begin();
    await gdb.ask('Z2,2000,8');
    await gdb.send('c');
    const first = gdb.session.stopped({ vcpu: 0, reason: 'breakpoint' });
    const second = gdb.session.stopped({ vcpu: 1, reason: 'watchpoint', access: 'write', address: 0x2000n });
    await Promise.all([first, second]);
    expect(await gdb.reply()).toBe('T05thread:1;');
    gdb.machine.noted.length = 0;
    expect(await gdb.ask('c')).toBe('T05thread:2;watch:2000;');
    expect(gdb.machine.noted).toEqual([]);
  });

  it('the end of the run is W with its status', async () => {
    for (const [result, told] of [[{ kind: 'debug-exit', value: 44 }, 'W59'], [{ kind: 'poweroff' }, 'W00'], [{ kind: 'panic' }, 'W84']] as const) {
      const gdb = await new Conversation().begin();
      await gdb.send('c');
      gdb.session.ended(result, false);
      expect(await gdb.reply()).toBe(told);
      expect(gdb.closed).toBe(true);
    }
  });

  it('a reset by the guest goes on with the breakpoints', async () => {
    const gdb = await new Conversation().begin();
    await gdb.ask('Z1,1000,1');
    await gdb.send('c');
    gdb.session.ended({ kind: 'reboot' }, true);
    const next = new FakeMachine();
    gdb.session.attach(next);
    expect(next.noted).toEqual(['breakpoints execute@1000+1', 'resume run,run']);
  });
});

describe('leaving', () => {
  it('D takes the breakpoints away and lets the guest run', async () => {
    const gdb = await new Conversation().begin();
    await gdb.ask('Z0,1000,1');
    expect(await gdb.ask('D')).toBe('OK');
    expect(await gdb.reply()).toBe('(closed)');
    expect(gdb.machine.noted).toEqual(['pause', 'breakpoints ', 'resume run,run']);
  });

  it('a lost connection does the same', async () => {
    const gdb = await new Conversation().begin();
    await gdb.ask('Z0,1000,1');
    await gdb.session.finish();
    expect(gdb.machine.noted).toEqual(['pause', 'breakpoints ', 'resume run,run']);
  });

  it('k and vKill stop the run', async () => {
    const gdb = await new Conversation().begin();
    await gdb.send('k');
    expect(gdb.machine.noted).toEqual(['stop']);
    expect(await gdb.ask('vKill;1')).toBe('OK');
    expect(gdb.machine.noted).toEqual(['stop', 'stop']);
    // the connection ends while the machine is being stopped: it must not run again
    await gdb.session.finish();
    expect(gdb.machine.noted).toEqual(['stop', 'stop']);
  });
});

describe('monitor', () => {
  const monitor = async (gdb: Conversation, command: string): Promise<string> => {
    let text = '';
    let reply = await gdb.ask(`qRcmd,${hex(command)}`);
    for (; reply !== 'OK'; reply = await gdb.reply()) {
      expect(reply[0]).toBe('O');
      text += Buffer.from(reply.slice(1), 'hex').toString();
    }
    return text;
  };

  it('help names every command, and unknown ones get it', async () => {
    const gdb = await new Conversation().begin();
    const help = await monitor(gdb, 'help');
    for (const word of ['info mem', 'info irq', 'dump', 'reset']) expect(help).toContain(word);
    expect(await monitor(gdb, 'info nothing')).toBe(`unknown command: info nothing\n${help}`);
    expect(await gdb.ask('qRcmd,zz')).toBe('E16');
  });

  it('dump is the machine’s', async () => {
    expect(await monitor(await new Conversation().begin(), 'dump')).toBe('the dump\n');
  });

  it('info irq lists pins in use and the vCPUs', async () => {
    expect(await monitor(await new Conversation().begin(), 'info  irq')).toBe(
      `IOAPIC:\n  all pins are masked\n${[0, 1].map((n) => `vCPU ${n}: TPR 0x0, pending none, in service none, timer LVT 0x0\n`).join('')}`,
    );
  });

  it('info mem joins neighbours with the same rights, large pages and sign extension included', async () => {
    const gdb = await new Conversation().begin();
    const view = new DataView(gdb.machine.ram.buffer);
    for (const [name, value] of [['cr0', 1n << 31n], ['cr3', 0n], ['cr4', 0x20n], ['efer', 0x500n]] as const) gdb.machine.registers(0).set(name, value);
    const put = (page: number, at: number, value: bigint): void => view.setBigUint64(page * PAGE + 8 * at, value, true);
    put(0, 0, 0x1007n);
    put(0, 511, 0x2003n);
    put(1, 0, 0x3007n);
    put(3, 0, 0x4007n);
    put(4, 1, 0x5007n);
    put(4, 2, 0x6007n);
    put(4, 3, 0x7005n | (1n << 63n));
    put(2, 511, 0x83n);
    expect(await monitor(gdb, 'info mem')).toBe(
      ['0000000000001000-0000000000003000 0000000000002000 uwx', '0000000000003000-0000000000004000 0000000000001000 u--', 'ffffffffc0000000-10000000000000000 0000000040000000 -wx', '']
        .join('\n'),
    );
    gdb.machine.registers(0).set('cr0', 1n);
    expect(await monitor(gdb, 'info mem')).toContain('paging is off');
  });

  it('reset waits for the next life; a container says that it cannot', async () => {
    const gdb = await new Conversation().begin();
    const next = new FakeMachine();
    gdb.machine.onReset = () => {
      gdb.session.ended({ kind: 'reboot' }, true);
      gdb.session.attach(next);
    };
    expect(await monitor(gdb, 'reset')).toContain('before its first instruction');
    expect(next.noted).toEqual([]);
    await gdb.send('c');
    expect(next.noted).toEqual(['resume run,run']);
    const fixed = await new Conversation(new FakeMachine(), false).begin();
    expect(await monitor(fixed, 'reset')).toContain('cannot be reset');
  });
});

describe('hostile input', () => {
  it('any packet gets at most one answer and never a defect', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...'?gGpPmMXZzcsCSHTDkvqQ!x', 'vCont;', 'qXfer:', 'qRcmd,', 'Z0,', 'm', 'X'), fc.string({ unit: 'binary-ascii', maxLength: 40 }), async (head, rest) => {
        const gdb = await new Conversation().begin();
        gdb.raw(encodePacket(head + rest));
        gdb.raw(encodePacket('vMustReplyEmpty'));
        for (let i = 0; i < 20; i++) await Promise.resolve();
        expect(gdb.machine.noted.filter((line) => line.startsWith('written')).length).toBe(0);
      }),
    );
  });

  it('a flood of packets without reading closes the connection', async () => {
    const gdb = await new Conversation().begin();
    for (let i = 0; i < 100; i++) gdb.raw(encodePacket('g'));
    expect(gdb.closed).toBe(true);
  });
});
