import { defineConfig } from 'vitest/config';

const long = Boolean(process.env.VMM_LONG);

export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts', 'test/guest/**/*.test.ts', 'test/nested/**/*.test.ts', 'test/package/**/*.test.ts', 'test/stage1/**/*.test.ts', ...(long ? ['test/long/**/*.test.ts'] : [])],
    // Above what test/support/limits.ts gives to what hangs: its own message says more.
    testTimeout: 660_000,
    hookTimeout: 900_000,
    // CI's machine may be slow for a while; a defect fails each time.
    retry: process.env.CI ? 1 : 0,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', new URL('./support/count-reporter.mjs', import.meta.url).pathname],
  },
});
