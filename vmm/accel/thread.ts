/** A thread of the pool (threads.ts): waits for a job, does it, says so, and waits for the next. */
import { existsSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { serveDisks } from '../devices/io-thread.ts';
import { ffi } from '../host/ffi.ts';
import { runKvmVcpu } from './kvm-vcpu.ts';
import { JOB_OVER, THREAD_UP, type ThreadJob } from './threads.ts';
import { runWasmVcpu } from './wasm-vcpu.ts';

const port = parentPort;
if (port === null) throw new Error('thread.cjs runs as a worker thread only');
const post = (message: unknown): void => port.postMessage(message);

port.on('message', (job: ThreadJob) => {
  if (job.kind === 'kvm-vcpu') runKvmVcpu(job.data, post);
  else if (job.kind === 'wasm-vcpu') runWasmVcpu(job.data, post);
  else serveDisks(job.data, post);
  post(JOB_OVER);
});

// While the main thread still builds the machine: what every job on KVM needs. A failure is told by the job that meets it.
if (existsSync('/dev/kvm')) {
  try {
    ffi();
  } catch {
    // no FFI library here
  }
}
post(THREAD_UP);
