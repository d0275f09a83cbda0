import { describe, expect, it } from 'vitest';
import { sinceText } from '../../../vmm/cli/duration-text.ts';
import { statsOf } from '../../../vmm/owner/stats.ts';

describe('figures of a guest', () => {
  it('the kernel’s texts', () => {
    const cgroup = new Map([['cpu.stat', 'usage_usec 1234\nuser_usec 1000\n'], ['memory.current', '4096\n'], ['pids.current', '3\n'], ['io.stat', '254:0 rbytes=10 wbytes=20 rios=1\n254:16 rbytes=1 wbytes=2\n']]);
    const dev = 'Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo:     700       7    0    0    0     0          0         0      700       7    0    0    0     0       0          0\n  eth0:    1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0\n  eth1:1234567890123       1    0    0    0     0          0         0        5       1    0    0    0     0       0          0\n';
    const machine = new Map([['/proc/net/dev', dev], ['/proc/meminfo', 'MemTotal:       1000 kB\nMemFree: 1 kB\n'], ['/proc/stat', 'cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 0\n']]);
    expect(statsOf(cgroup, machine, 5)).toEqual({ cpuUs: 1234, at: 5, cpus: 2, memory: 4096, memoryLimit: 1_024_000, pids: 3, blockRead: 11, blockWritten: 22, netReceived: 1_234_567_891_123, netSent: 2005 });
  });

  it('whatever is in them, numbers come out', () => {
    const evil = new Map(['cpu.stat', 'memory.current', 'pids.current', 'io.stat', '/proc/net/dev'].map((name) => [name, `eth0: ${'9'.repeat(30)} x\nusage_usec -1e999\nrbytes=\u001b[2J wbytes=${'9'.repeat(400)}\n99999999999999999999`]));
    for (const value of Object.values(statsOf(evil, evil, 5))) {
      expect(Number.isSafeInteger(value)).toBe(true);
      expect(value).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('how long ago', () => {
  it.each([[0, 'Less than a second'], [1000, '1 second'], [59_999, '59 seconds'], [60_000, 'About a minute'], [120_000, '2 minutes'], [3_600_000, 'About an hour'], [47 * 3_600_000, '47 hours'], [50 * 3_600_000, '2 days'], [15 * 86_400_000, '2 weeks'], [70 * 86_400_000, '2 months'], [800 * 86_400_000, '2 years']])('%d ms: %s', (ms, words) => {
    expect(sinceText(new Date(1e12).toISOString(), 1e12 + ms)).toBe(words);
  });

  it('a time that is none, or to come', () => {
    expect([sinceText(undefined, 1), sinceText('x', 1), sinceText(new Date(5000).toISOString(), 1)]).toEqual(Array(3).fill('Less than a second'));
  });
});
