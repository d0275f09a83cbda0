import { defineConfig } from 'vitest/config';
import LongestFirst from './support/sequencer.mjs';

const long = Boolean(process.env.VMM_LONG);

export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts', 'test/guest/**/*.test.ts', 'test/nested/**/*.test.ts', 'test/package/**/*.test.ts', 'test/stage1/**/*.test.ts', ...(long ? ['test/long/**/*.test.ts'] : [])],
    globalSetup: [new URL('./support/own-store.ts', import.meta.url).pathname],
    // Above what test/support/limits.ts gives to what hangs: its own message says more.
    testTimeout: 660_000,
    hookTimeout: 900_000,
    // CI's machine may be slow for a while; a defect fails each time.
    retry: process.env.CI ? 1 : 0,
    pool: 'forks',
    // More than two processors: half of what a test does is to wait, for guests, servers and what is slow on purpose.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', new URL('./support/count-reporter.mjs', import.meta.url).pathname],
  },
});
