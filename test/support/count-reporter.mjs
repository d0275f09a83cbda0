// Writes the counts of a run to the file named by VMM_TEST_COUNTS, anew with each file of tests that has ended; .ci/run prints them as its
// last line. Tells when nothing has ended for long what is running, down to where its processes wait, and ends those: what hangs costs one
// file of tests, and is seen.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Of this machine's tests none takes a fifth of it; test/long has some that take longer. */
const STALL_MS = process.env.VMM_LONG ? 7_200_000 : Number(process.env.VMM_TEST_STALL_MS ?? 900_000);

export default class CountReporter {
  #modules = new Set();
  #running = new Set();
  #tests = new Set();
  #stall;

  onTestModuleStart(module) {
    this.#running.add(module);
    this.#listen();
  }

  onTestCaseReady(test) {
    this.#tests.add(test);
  }

  onTestCaseResult(test) {
    this.#tests.delete(test);
    this.#listen();
  }

  onTestModuleEnd(module) {
    this.#running.delete(module);
    this.#modules.add(module);
    this.#listen();
    this.#write();
  }

  onTestRunEnd(modules) {
    clearTimeout(this.#stall);
    this.#running.clear();
    this.#modules = new Set(modules);
    this.#write();
  }

  #listen() {
    clearTimeout(this.#stall);
    this.#stall = setTimeout(() => this.#stalled(), STALL_MS);
    this.#stall.unref();
  }

  #stalled() {
    const names = [...this.#tests].map((test) => `${test.module.moduleId}: ${test.fullName}`);
    console.error(`\nnothing has ended for ${STALL_MS / 60_000} minutes; running: ${[...this.#running].map((module) => module.moduleId).join(', ')}\n${names.join('\n')}`);
    const all = descendants(process.pid);
    for (const { line } of all) console.error(line);
    // What the tests have started first, so that they fail by themselves; the tests' own processes if that did not help.
    const started = all.filter(({ line }) => !line.includes('vitest/dist/workers'));
    for (const { pid } of (started.length > 0 ? started : all).reverse()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended with its parent.
      }
    }
    this.#listen();
  }

  #write() {
    const path = process.env.VMM_TEST_COUNTS;
    if (!path) return;
    const counts = { passed: 0, failed: this.#running.size, skipped: 0 };
    for (const module of this.#modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      for (const state of states) if (state in counts) counts[state] += 1;
      // A file whose import, hook or process failed has no failed test of its own.
      if (!['passed', 'skipped'].includes(module.state()) && !states.includes('failed')) counts.failed += 1;
    }
    writeFileSync(path, `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}

/** All processes below `pid`, parents first, each with what it is and where it waits. */
function descendants(pid) {
  const parents = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (parent === undefined) continue;
    const threads = readThreads(name);
    const line = `  ${name} (of ${parent}) ${state} ${read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').slice(0, 300)}${threads}`;
    const siblings = parents.get(Number(parent)) ?? [];
    siblings.push({ pid: Number(name), line });
    parents.set(Number(parent), siblings);
  }
  const below = (of) => (parents.get(of) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return below(pid);
}

function readThreads(pid) {
  let threads = [];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    // It ended meanwhile.
  }
  return threads.map((thread) => `\n      ${thread} ${read(`/proc/${pid}/task/${thread}/comm`).trim()}: ${read(`/proc/${pid}/task/${thread}/wchan`)} ${read(`/proc/${pid}/task/${thread}/syscall`).trim()}`).join('');
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
