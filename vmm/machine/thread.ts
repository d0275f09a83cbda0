/** A thread of the pool (vmm/threads/pool.ts): waits for a job, does it, says so, and waits for the next. */
import { parentPort } from 'node:worker_threads';
import { runKvmVcpu } from '../accel/kvm-vcpu.ts';
import { runWasmVcpu } from '../accel/wasm-vcpu.ts';
import { serveDisks } from '../devices/disk/thread.ts';
import { ffi } from '../host/ffi.ts';
import { writeWhole } from '../host/write-whole.ts';
import { JOB_OVER, LOAD_OVER, LOAD_RUNS, LOAD_WANTED, type LoadRequest, THREAD_UP, type ThreadJob } from '../threads/pool.ts';
import { ringerHooks } from './ringers.ts';

/** Kinds of jobs. What begins one gives it the data that its function takes. */
const JOBS: Readonly<Record<string, (data: never, post: (message: unknown) => void) => void | Promise<void>>> = {
  'kvm-vcpu': runKvmVcpu,
  'wasm-vcpu': (data, post) => runWasmVcpu(data, post, ringerHooks),
  io: serveDisks,
  'limited-disk': async (data, post) => (await import('../devices/disk/limited.ts')).serveLimitedDisk(data, post),
  fs: async (data, post) => (await import('../devices/fs/thread.ts')).serveShares(data, post),
  net: async (data, post) => (await import('../devices/net/thread.ts')).serveNet(data, post),
  translate: async (data) => (await import('../jit/worker.ts')).runTranslator(data),
};

/** Writes V8's code of what has run, while `npm run build` records it (bin/vmm.js). */
declare const __record: (() => void) | undefined;

const port = parentPort;
if (port === null) throw new Error('thread.cjs runs as a worker thread only');
const post = (message: unknown): void => port.postMessage(message);
let ending = false;

port.on('message', (job: ThreadJob | LoadRequest) => {
  if ('word' in job) {
    load(job.word);
    return;
  }
  if (ending) return;
  const run = JOBS[job.kind];
  if (run === undefined) throw new Error(`no thread does ${job.kind}`);
  const over = (): void => {
    __record?.();
    post(JOB_OVER);
  };
  const done = run(job.data as never, post);
  if (done === undefined) over();
  else void done.then(over);
});

/** A failure is told by the job that meets it. A load that is taken back means that the process ends: no job begins any more. */
function load(word: Int32Array): void {
  ending = Atomics.compareExchange(word, 0, LOAD_WANTED, LOAD_RUNS) !== LOAD_WANTED;
  if (ending) return;
  try {
    ffi();
  } catch {
    // no FFI library here
  }
  Atomics.store(word, 0, LOAD_OVER);
  Atomics.notify(word, 0);
}

// Nobody reads a thread's own process.stderr (vmm/threads/pool.ts), where Node would write its warnings.
process.on('warning', (warning) => writeWhole(2, `${warning.stack ?? warning.message}\n`));

post(THREAD_UP);
