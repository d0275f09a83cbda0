/** `run`: the pod's process. It holds the lock that stage0 has left open for as long as the pod lives, and ends with its status. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { appStatus, type PodListener, PodRun, type PodResult, podSize } from '../../vmm/api/pods.ts';
import { Failure, oneLine, STATUS_FAILED } from '../common/failure.ts';
import { type RunOptions, runOptions } from './options.ts';
import { Outputs } from './outputs.ts';
import { localConfig, type PlannedPod, planned } from './plan.ts';
import { readPod, S1, writeEnvironment, writePid, writeReady, writeStatus } from './pod-files.ts';
import { listen } from './server.ts';

function say(text: string): void {
  process.stderr.write(`stage1: ${oneLine(text)}\n`);
}

export async function run(argv: readonly string[]): Promise<number> {
  const options = runOptions(argv);
  for (const note of options.notes) say(note);
  const config = localConfig(options.localConfig);
  const read = readPod();
  if (options.networks.length > 0) throw new Failure(`--net=${options.networks.map(({ name }) => name).join(',')}: this build gives pods no network yet: use --net=none`);
  const pod = planned(read, options, config, undefined, undefined);
  for (const note of [...read.notes, ...pod.plan.notes]) say(note);
  const size = podSize(pod.apps, availableParallelism(), { overheadMib: config.overheadMiB, minMib: config.minMiB, maxMib: config.maxMiB });
  for (const note of size.notes) say(note);
  const outputs = new Outputs();
  for (const { name, spec } of pod.plan.apps) {
    writeEnvironment(name, spec.env);
    const { stdout, stderr } = pod.streams.get(name) ?? { stdout: 'log', stderr: 'log' };
    outputs.open(name, { stdout, stderr }, say);
  }
  const run = new PodRun(
    pod.plan,
    { hostname: options.hostname, mutable: options.mutable },
    {
      memoryMib: size.memoryMib,
      vcpus: size.vcpus,
      accel: config.accel,
      // Landlock cannot name what is still to come.
      ...(options.mutable ? {} : { confine: { when: 'after-entry' as const, read: [], remove: ['.'], write: [join(S1, 'rkt'), 'logs'] } }),
    },
    listener(options, outputs),
  );
  return lead(run, pod, options);
}

function listener(options: RunOptions, outputs: Outputs): PodListener {
  return {
    output: (app, stream, bytes) => outputs.put(app, stream, bytes),
    ended: (app, end) => {
      writeStatus(app, appStatus(end));
      if (end.kind === 'failed') say(end.error.message);
      else if (options.debug) say(`app ${app} ended with ${appStatus(end)}`);
    },
    ready: writeReady,
    note: (text, about) => {
      if (about !== 'accelerator' || options.debug) say(text);
    },
  };
}

async function lead(run: PodRun, pod: PlannedPod, options: RunOptions): Promise<number> {
  const aborted = new AbortController();
  let asked = 0;
  const stop = (): void => {
    asked += 1;
    // Who asks again does not want to wait.
    if (asked > 1) aborted.abort();
    else run.stop();
  };
  const server = await listen(run, { stop, app: () => Promise.reject(new Failure('this pod is not mutable')) });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  const ended = run.run({ signal: aborted.signal });
  writePid();
  const restore = interactive(run, pod);
  try {
    return statusOf(await ended, aborted.signal.aborted, options);
  } finally {
    restore();
    server.close();
  }
}

/** Joins run's own input to the app that has it. */
function interactive(run: PodRun, { plan, streams }: PlannedPod): () => void {
  const app = plan.apps.find(({ name }) => streams.get(name)?.stdin === 'interactive');
  if (app === undefined) return () => {};
  const { stdin, stdout } = process;
  run.whenStarted(app.name, (command) => {
    stdin.on('data', (bytes: Buffer) => {
      stdin.pause();
      void Promise.resolve(command.stdin.write(Uint8Array.from(bytes))).catch(() => {}).finally(() => stdin.resume());
    });
    stdin.on('end', () => command.stdin.end());
    stdin.on('error', () => command.stdin.end());
    if (app.spec.tty !== true) return;
    const resize = (): void => void command.resize({ rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 }).catch(() => {});
    process.on('SIGWINCH', resize);
    resize();
  });
  if (app.spec.tty === true && stdin.isTTY) stdin.setRawMode(true);
  return () => {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
  };
}

function statusOf(result: PodResult, aborted: boolean, { debug }: RunOptions): number {
  if (result.kind === 'ended') return result.status;
  if (aborted) return 128 + 15;
  say(`the machine ended before its pod did: ${result.result.kind}`);
  if (debug || result.console !== '') process.stderr.write(`${result.console.split('\n').slice(-20).map((line) => `guest: ${oneLine(line)}`).join('\n')}\n`);
  return STATUS_FAILED;
}
