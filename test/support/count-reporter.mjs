// Writes the counts of a run to the file named by VMM_TEST_COUNTS; .ci/run prints them as its last line.
import { writeFileSync } from 'node:fs';

export default class CountReporter {
  onTestRunEnd(modules) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      if (module.state() === 'failed' && [...module.children.allTests()].length === 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (state in counts) counts[state] += 1;
      }
    }
    const path = process.env.VMM_TEST_COUNTS;
    if (path) writeFileSync(path, `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}
