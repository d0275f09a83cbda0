import { describe, expect, it } from 'vitest';
import { parseArgs } from '../../../vmm/cli/args.ts';
import { BOOT, bootConfig, parseDisk } from '../../../vmm/cli/boot-options.ts';
import { containerOptions, RUN } from '../../../vmm/cli/run-options.ts';
import { parseCpuShare, parseDuration, parseMemory, parseSize } from '../../../vmm/cli/sizes.ts';
import { KeySequence, parseDetachKeys } from '../../../vmm/cli/keys.ts';
import { capabilitySet } from '../../../vmm/container/capabilities.ts';
import { containerEnvironment } from '../../../vmm/container/env.ts';
import { parseUlimit } from '../../../vmm/container/limits.ts';
import { processArguments } from '../../../vmm/container/options.ts';
import { signalNumber } from '../../../vmm/container/signals.ts';
import { VmmError } from '../../../base/errors.ts';

const run = (...argv: string[]) => parseArgs(argv, RUN);
const boot = (...argv: string[]) => {
  const { options, operands } = parseArgs(argv, BOOT);
  return bootConfig(options, operands, () => 'own');
};

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof VmmError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('no error was thrown');
}

describe('parseArgs', () => {
  it('options end at the image, what follows is the command', () => {
    const { options, operands } = run('-it', '-e', 'A=1', '--env=B=2', '-eC=3', 'image', '-e', 'x', '--', '-t');
    expect(options).toMatchObject({ interactive: true, tty: true, env: ['A=1', 'B=2', 'C=3'] });
    expect(operands).toEqual(['image', '-e', 'x', '--', '-t']);
  });

  it('an alias and the last of several values count', () => {
    expect(run('--mem', '1g', '-m', '2g').options.memory).toBe(2048);
  });

  it('flags take true and false only', () => {
    expect(run('--init', '--init=false').options.init).toBe(false);
    expect(messageOf(() => run('--init=maybe'))).toMatch(/^USAGE: option --init takes true or false/);
  });

  it('a mistyped option is told with the nearest one', () => {
    expect(messageOf(() => run('--memroy', '1g'))).toBe('USAGE: unknown option --memroy, did you mean --memory?');
    expect(messageOf(() => run('-Z'))).toBe('USAGE: unknown option -Z');
    expect(messageOf(() => run('--memory'))).toBe('USAGE: option --memory needs a value');
  });
});

describe('sizes', () => {
  it.each([
    ['64m', 64 * 2 ** 20],
    ['1g', 2 ** 30],
    ['1.5G', 1.5 * 2 ** 30],
    ['512MiB', 512 * 2 ** 20],
    ['4096b', 4096],
    ['10kb', 10240],
  ])('%s is %i bytes', (text, bytes) => expect(parseSize(text, '--x', 'refuse')).toBe(bytes));

  it('a bare number is MiB in boot and refused with a hint in run', () => {
    expect(parseMemory('256', '--memory', 'mib')).toBe(256);
    expect(messageOf(() => parseMemory('256', '--memory', 'refuse'))).toBe('USAGE: --memory: 256 has no unit');
  });

  it.each(['', 'm', '-1m', '1x', '1e3', '0x10', 'NaN'])('%j is not a size', (text) => {
    expect(messageOf(() => parseSize(text, '--x', 'mib'))).toMatch(/is not a size/);
  });

  it('memory beyond 3072m and below 16m is refused with the reason', () => {
    expect(messageOf(() => parseMemory('4g', '--memory', 'mib'))).toMatch(/more than 3072m: guest RAM lies in one 4 GiB/);
    expect(messageOf(() => parseMemory('1m', '--memory', 'mib'))).toMatch(/too little/);
  });

  it('a fraction of CPUs is its ceiling in vCPUs and a quota', () => {
    expect(parseCpuShare('1.5', '--cpus')).toEqual({ vcpus: 2, quota: 1.5 });
    expect(parseCpuShare('2', '--cpus')).toEqual({ vcpus: 2, quota: undefined });
    for (const bad of ['0', '-1', '33', 'x', '1e1']) expect(messageOf(() => parseCpuShare(bad, '--cpus'))).toMatch(/^USAGE/);
  });

  it('times have units', () => {
    expect(parseDuration('30', '--timeout')).toEqual({ text: '30', ms: 30_000 });
    expect(parseDuration('250ms', '--timeout').ms).toBe(250);
    expect(messageOf(() => parseDuration('0', '--timeout'))).toMatch(/is not a time/);
  });
});

describe('boot options', () => {
  it('defaults: 256 MiB, 1 vCPU, serial, our kernel', () => {
    expect(boot()).toMatchObject({ kernel: 'own', memoryMib: 256, cpus: 1, console: 'serial', accel: 'auto', exitOnPort: false });
  });

  it('disks have ids and options', () => {
    expect(parseDisk('a.img,ro,id=root', 0)).toEqual({ path: 'a.img', readOnly: true, id: 'root' });
    expect(parseDisk('a,,b.img', 1)).toEqual({ path: 'a,b.img', readOnly: false, id: 'disk1' });
    expect(messageOf(() => parseDisk('a,cache=no', 0))).toMatch(/cache=no is not an option/);
  });

  it.each([
    [['--cpus', '0'], /--cpus: 0/],
    [['--cpus', '33'], /--cpus: 33/],
    [['--console', 'vga'], /vga is not one of serial, hvc, none/],
    [['--exit-on', 'panic'], /panic is not reboot or port/],
    [['kernel.bin'], /boot takes no argument/],
  ])('%j is refused', (argv, message) => expect(messageOf(() => boot(...argv))).toMatch(message));
});

describe('run options', () => {
  it('defaults: Docker’s capabilities, a random host name', () => {
    const options = containerOptions(run('image').options, { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: [] }, []);
    expect(options).toMatchObject({ capabilities: 0xa80425fbn, env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', `HOSTNAME=${options.hostname}`] });
    expect(options.hostname).toMatch(/^[0-9a-f]{12}$/);
  });

  it('capabilities: ALL first, then single names', () => {
    expect(capabilitySet([], ['ALL'])).toBe(0n);
    expect(capabilitySet(['NET_ADMIN'], ['all'])).toBe(1n << 12n);
    expect(capabilitySet(['ALL'], ['CAP_SYS_ADMIN']) & (1n << 21n)).toBe(0n);
    expect(messageOf(() => capabilitySet(['FLY'], []))).toMatch(/FLY is not a capability/);
  });

  it('ulimits, signals and detach keys', () => {
    expect(parseUlimit('memlock=1024:-1')).toEqual({ resource: 8, soft: 1024n, hard: 0xffff_ffff_ffff_ffffn });
    expect(messageOf(() => parseUlimit('nofile=9:1'))).toMatch(/above the hard/);
    expect([signalNumber('TERM', 'x'), signalNumber('sigint', 'x'), signalNumber('9', 'x'), signalNumber('RTMIN+3', 'x')]).toEqual([15, 2, 9, 37]);
    expect(messageOf(() => signalNumber('65', '--stop-signal'))).toMatch(/is not a signal/);
    expect(parseDetachKeys('ctrl-p,ctrl-q')).toEqual([16, 17]);
    expect(parseDetachKeys('ctrl-é')).toBeUndefined();
  });

  it('command and entry point follow Docker', () => {
    const image = { entrypoint: ['/e'], cmd: ['c'], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: [] };
    expect(processArguments(image, undefined, [])).toEqual(['/e', 'c']);
    expect(processArguments(image, undefined, ['x'])).toEqual(['/e', 'x']);
    expect(processArguments(image, ['/n'], [])).toEqual(['/n']);
  });

  it('environment: later wins, a bare name takes the host’s value or removes', () => {
    const env = containerEnvironment({ image: ['PATH=/x', 'A=1'], envFiles: [], env: ['A=2', 'HOST', 'PATH'], hostname: 'h', tty: true, host: (name) => ({ HOST: 'v' })[name] });
    expect(env).toEqual(['HOSTNAME=h', 'TERM=xterm', 'A=2', 'HOST=v']);
  });
});

describe('KeySequence', () => {
  it('holds back a beginning and gives it when it was not the sequence', () => {
    const keys = new KeySequence([16, 17]);
    expect(keys.feed(Uint8Array.of(97, 16))).toMatchObject({ pass: Uint8Array.of(97), hit: false });
    expect(keys.feed(Uint8Array.of(16, 98))).toMatchObject({ pass: Uint8Array.of(16, 16, 98), hit: false });
    expect(keys.feed(Uint8Array.of(16, 17, 99))).toMatchObject({ hit: true, rest: Uint8Array.of(99) });
  });
});
