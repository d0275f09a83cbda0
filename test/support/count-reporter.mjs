// Writes the counts of a run to the file named by VMM_TEST_COUNTS; .ci/run prints them as its last line.
import { writeFileSync } from 'node:fs';

export default class CountReporter {
  onTestRunEnd(modules) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      for (const state of states) if (state in counts) counts[state] += 1;
      // A file whose import or hook failed has no failed test of its own.
      if (module.state() === 'failed' && !states.includes('failed')) counts.failed += 1;
    }
    const path = process.env.VMM_TEST_COUNTS;
    if (path) writeFileSync(path, `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}
