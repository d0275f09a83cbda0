/** The process that owns a container of `vmm run -d`: it is the machine, and what answers on the container's socket. */
import { constants } from 'node:os';
import { closeSync, writeSync } from 'node:fs';
import { type ContainerResult, ContainerRun } from '../api/containers.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, resolveImage } from '../api/images.ts';
import { ownSymbols } from '../api/machine.ts';
import { type Ask, type ContainerRecord, LogWriter, type Reply, serve, StateFolder } from '../api/owner.ts';
import { parseArgs } from './args.ts';
import { jitOf } from './common-options.ts';
import { confineConfig } from './confine.ts';
import { describeError } from './describe.ts';
import { openMounts } from './mounts.ts';
import { contentTrust } from './pull-options.ts';
import { containerOptions, RUN, type RunOptions, sizedFor } from './run-options.ts';
import * as STATUS from './status.ts';

const { SIGKILL, SIGTERM } = constants.signals;
/** The client that waits for the start reads it. */
const CLIENT = 3;

/** Gives the container's exit status; what the client is told comes before. */
export async function ownerCommand([root = '', id = '']: readonly string[]): Promise<number> {
  const state = new StateFolder(root);
  const found = await state.find(id);
  if (found.state !== 'created') throw new VmmError('CONTAINER_STATE', `${id} has run`, { hint: 'owner is what `vmm run -d` starts' });
  for (const name of ['SIGHUP', 'SIGINT', 'SIGPIPE'] as const) process.on(name, () => {});
  const { record } = found;
  const log = new LogWriter(state.folder(id));
  const writeEnd = state.openEnd(id);
  let run: ContainerRun | undefined;
  let stop: number = SIGTERM;
  let resolveEnd = (_: number): void => {};
  const ended = new Promise<number>((resolve) => {
    resolveEnd = resolve;
  });
  const server = await serve(state.folder(id), (ask) => answer(ask, run, stop, ended));
  process.on('SIGTERM', () => void answer({ ask: 'stop', seconds: 10 }, run, stop, ended));
  const { options, operands } = parseArgs(record.argv, RUN);
  let started: string | undefined;
  let status: number = STATUS.STATUS_VMM_ERROR;
  let error: string | undefined;
  let outOfMemory = false;
  try {
    process.chdir(record.folder);
    ({ run, stop } = await makeRun(record, options, operands, state, log));
    const { process: command } = run;
    void command.started.then(() => {
      started = new Date().toISOString();
      tellClient('started\n');
    }, () => {});
    const result = await run.run();
    status = statusOf(result);
    if (result.kind === 'exited') outOfMemory = result.status.outOfMemory;
    if (result.kind === 'failed') error = describeError(result.error);
  } catch (cause) {
    error = describeError(cause);
  }
  log.close();
  writeEnd({ status, started, finished: new Date().toISOString(), error, outOfMemory });
  if (options.rm) state.empty(record);
  resolveEnd(status);
  if (started === undefined) tellClient(`${status}\n${error ?? 'vmm: the machine ended before the container had started\n'}`);
  await server.close();
  return status;
}

/** Once; the pipe ends with it. The client may be gone. */
function tellClient(text: string): void {
  try {
    writeSync(CLIENT, text);
    closeSync(CLIENT);
  } catch {
    // it was killed
  }
}

async function makeRun(record: ContainerRecord, options: RunOptions, [reference = '', ...command]: readonly string[], state: StateFolder, log: LogWriter): Promise<{ run: ContainerRun; stop: number }> {
  // The client has fetched it. Signatures count here again: a name may stand for another image than the signed one.
  const image = await resolveImage(reference, { host: hostFs, note: () => {}, pull: 'never', contentTrust: contentTrust(options), ...(options.insecureOptions === undefined ? {} : { insecure: options.insecureOptions }) });
  const { mounts, tmpfs } = await openMounts([...options.volume, ...options.mount], image, () => {});
  const sized = sizedFor(image.config, options);
  const short = record.id.slice(0, 12);
  const container = containerOptions({ ...options, name: record.name }, image.config, command, () => short);
  const run = new ContainerRun(
    image,
    { ...container, mounts, tmpfs: [...options.tmpfs, ...tmpfs] },
    {
      memoryMib: sized.memory,
      vcpus: sized.cpus?.vcpus,
      accel: options.accel,
      cpuModel: options.cpu,
      jit: jitOf(options.jit),
      symbols: ownSymbols,
      confine: { ...confineConfig('after-entry', { gdb: undefined }), write: [state.folder(record.id)], remove: [state.names, state.folder(record.id)] },
    },
    { stdout: (bytes) => log.write('stdout', bytes), stderr: (bytes) => log.write('stderr', bytes) },
  );
  return { run, stop: run.stopSignal };
}

async function answer(ask: Ask, run: ContainerRun | undefined, stopSignal: number, ended: Promise<number>): Promise<Reply> {
  if (ask.ask === 'wait') return { done: true, status: await ended };
  if (run === undefined) return { done: false, code: 'CONTAINER_STATE', message: 'the container is still being started' };
  if (ask.ask === 'signal') {
    await run.process.signal(ask.signal).catch(() => {});
    return { done: true };
  }
  const timer = setTimeout(() => {
    void run.process.signal(SIGKILL).catch(() => run.kill());
  }, ask.seconds * 1000);
  await run.process.signal(stopSignal).catch(() => {});
  const status = await ended;
  clearTimeout(timer);
  return { done: true, status };
}

function statusOf(result: ContainerResult): number {
  switch (result.kind) {
    case 'exited':
      return result.status.status;
    case 'failed':
      return result.status;
    case 'machine':
      return result.result.kind === 'stopped' ? 128 + SIGKILL : STATUS.STATUS_VMM_ERROR;
  }
}
