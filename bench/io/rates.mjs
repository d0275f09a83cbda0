// What the disk benchmarks report: of each test the rate of ours over that of QEMU's, round by round.
import { ratio, report } from '../harness.ts';
import { median } from '../statistics.ts';

/** `taken`: of each side, round by round, the tests by name: { bytes, seconds }. Of those that tell of 4 KiB, requests a second count. */
export function reportRates(name, title, taken) {
  const seconds = (side, test) => taken[side].map((round) => round[test].seconds);
  const rate = (side, test) => {
    const { bytes } = taken[side][0][test];
    const took = median(seconds(side, test));
    return test.includes('4k') ? `${(bytes / 4096 / took).toFixed(0)}/s` : `${(bytes / 2 ** 20 / took).toFixed(0)} MiB/s`;
  };
  // Rates are the other way around than times. Below five rounds there is no bound to hold against a target.
  const target = taken.vmm.length < 5 ? {} : { target: { atLeast: 1, of: 'low' } };
  const rows = Object.keys(taken.vmm[0]).map((test) => ({ what: `${test}: rate over QEMU's`, ...ratio(seconds('qemu', test), seconds('vmm', test)), ...target, note: `vmm ${rate('vmm', test)}, QEMU ${rate('qemu', test)}` }));
  report(name, { title, section: 'Disks', rows });
}
