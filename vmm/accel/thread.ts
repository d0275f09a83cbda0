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
let ending = false;

port.on('message', (job: ThreadJob | LoadRequest) => {
  if (job.kind === 'load') {
    load(job.word);
    return;
  }
  if (ending) return;
  if (job.kind === 'kvm-vcpu') runKvmVcpu(job.data, post);
  else if (job.kind === 'wasm-vcpu') runWasmVcpu(job.data, post);
  else serveDisks(job.data, post);
  post(JOB_OVER);
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

post(THREAD_UP);
