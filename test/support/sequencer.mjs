// In which order the files of tests run: those that take longest first, so that at the end no processor waits for the other one's last file.
// Vitest knows times of its own from earlier runs; a fresh checkout has none, and a file's size, which it takes then, says little.
import { BaseSequencer } from 'vitest/node';

/** Half a minute and more, the longest first; a name that is no file's any more does no harm. */
const LONGEST = [
  'nested/kvm-boot', 'nested/kvm-cli', 'stage1/stage1', 'package/package', 'nested/kvm', 'unit/image/volumes', 'unit/gateway/bed', 'unit/image/store-safety', 'guest/life-kept',
  'unit/image/registry', 'guest/posix', 'nested/agent/agent', 'guest/net', 'guest/run-ends', 'guest/run', 'guest/jit', 'unit/trust/simple', 'guest/mounts', 'guest/counted', 'guest/pod',
  'unit/image/compress', 'unit/cli/bad-input', 'stage1/network', 'stage1/image', 'guest/user-net', 'guest/host-faults', 'guest/kept-code', 'unit/trust/verdicts', 'unit/trust/policy',
];

export default class LongestFirst extends BaseSequencer {
  async sort(files) {
    const place = ({ moduleId }) => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return found < 0 ? LONGEST.length : found;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
