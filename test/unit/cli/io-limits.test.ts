/** Docker's limits of disks, and those of mounts, as users write them. */
import { describe, expect, it } from 'vitest';
import { parseArgs } from '../../../vmm/cli/args.ts';
import { ioLimits } from '../../../vmm/cli/io-limits.ts';
import { RUN } from '../../../vmm/cli/run-options.ts';

const limits = (...args: string[]): unknown => ioLimits(parseArgs([...args, 'image'], RUN).options);

describe('limits of vmm run', () => {
  it('Docker’s units, each way by itself, the last of two', () => {
    expect(limits('--device-read-bps', '/dev/vda:1mb', '--device-read-iops=/dev/vda:100', '--device-write-bps', '/dev/vdb:5', '--device-write-bps', '/dev/vdb:2kb')).toEqual({
      disks: { image: { read: { bytes: { perSecond: 2 ** 20 }, operations: { perSecond: 100 } } }, changes: { write: { bytes: { perSecond: 2048 } } } },
      mounts: undefined,
    });
  });

  it('mounts, with a burst', () => {
    expect(limits('--mount-limit', 'bw=10m:50m,ops=7')).toEqual({ disks: {}, mounts: { bytes: { perSecond: 10 * 2 ** 20, burst: 50 * 2 ** 20 }, operations: { perSecond: 7, burst: undefined } } });
  });

  it('nothing asked for is nothing', () => expect(limits()).toBeUndefined());

  it.each([
    ['--device-read-bps', '/dev/vda', 'bad format: /dev/vda'],
    ['--device-read-bps', ':1mb', 'bad format: :1mb'],
    ['--device-read-bps', 'vda:1mb', 'bad format for device path: vda:1mb'],
    ['--device-read-bps', '/dev/vda:1xb', 'invalid rate for device: /dev/vda:1xb'],
    ['--device-read-bps', '/dev/vda:-1', 'invalid rate for device: /dev/vda:-1'],
    ['--device-read-bps', '/dev/vda:0', 'invalid rate for device: /dev/vda:0'],
    ['--device-read-iops', '/dev/vda:1mb', 'invalid rate for device: /dev/vda:1mb'],
    ['--device-read-iops', '/dev/vda:1e3', 'invalid rate for device: /dev/vda:1e3'],
    ['--device-write-bps', '/dev/vda:1mb', 'the image, which nobody writes to'],
    ['--device-write-bps', '/dev/sda:1mb', '/dev/sda is not a disk of the guest'],
    ['--device-write-bps', '/dev/constructor:1mb', 'is not a disk of the guest'],
    ['--mount-limit', '10m', '10m is not a limit'],
    ['--mount-limit', 'bw=0', '0 is not a limit'],
  ])('%s %s: %s', (option, text, message) => expect(() => limits(option, text)).toThrow(message));
});
