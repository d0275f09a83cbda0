/** A thread of the pool (threads.ts): waits for a job, does it, says so, and waits for the next. */
import { parentPort } from 'node:worker_threads';
import { serveDisks } from '../devices/io-thread.ts';
import { ffi } from '../host/ffi.ts';
import { runKvmVcpu } from './kvm-vcpu.ts';
import { JOB_OVER, LOAD_OVER, LOAD_RUNS, LOAD_WANTED, type LoadRequest, THREAD_UP, type ThreadJob } from './threads.ts';
import { runWasmVcpu } from './wasm-vcpu.ts';

const port = parentPort;
if (port === null) throw new Error('thread.cjs runs as a worker thread only');
const post = (message: unknown): void => port.postMessage(message);

port.on('message', (job: ThreadJob | LoadRequest) => {
  if (job.kind === 'load') {
    load(job.word);
    return;
  }
  if (job.kind === 'kvm-vcpu') runKvmVcpu(job.data, post);
  else if (job.kind === 'wasm-vcpu') runWasmVcpu(job.data, post);
  else serveDisks(job.data, post);
  post(JOB_OVER);
});

/** A failure is told by the job that meets it. */
function load(word: Int32Array): void {
  if (Atomics.compareExchange(word, 0, LOAD_WANTED, LOAD_RUNS) !== LOAD_WANTED) return;
  try {
    ffi();
  } catch {
    // no FFI library here
  }
  Atomics.store(word, 0, LOAD_OVER);
  Atomics.notify(word, 0);
}

post(THREAD_UP);
