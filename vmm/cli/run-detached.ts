import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { VmmError } from '../api/errors.ts';
import { hostFs, resolveImage } from '../api/images.ts';
import { needsHardware, probePorts } from '../api/machine.ts';
import { type ContainerRecord, RECORD_VERSION, StateFolder } from '../api/owner.ts';
import { print, tell } from './output.ts';
import { ProgressLine } from './progress.ts';
import { contentTrust } from './pull-options.ts';
import type { RunOptions } from './run-options.ts';

/** Longest of what an owner says of its start, bytes. */
const MAX_TOLD = 16384;

/** `vmm run -d`: an owner process, and its container's id once the command runs. */
export async function runDetached(argv: readonly string[], options: RunOptions, [reference = '', ...command]: readonly string[]): Promise<number> {
  const here = ['gdb', 'icount', 'record', 'replay', 'timeline', 'timeout'].find((key) => options[key as keyof RunOptions] !== undefined && options[key as keyof RunOptions] !== false);
  if (here !== undefined) throw new VmmError('USAGE', `--${here} is for a run on this terminal, not with -d`, { hint: 'leave one of them away' });
  await probePorts(options.publish.flat());
  await needsHardware(options.accel ?? 'auto');
  const progress = new ProgressLine(process.stderr);
  await resolveImage(reference, { host: hostFs, note: () => {}, pull: options.pull ?? 'missing', contentTrust: contentTrust(options), ...(options.insecureOptions === undefined ? {} : { insecure: options.insecureOptions }), ...(options.quiet ? {} : { progress: progress.update }) }).finally(() => progress.clear());

  const state = new StateFolder(options.root);
  state.make();
  const id = randomBytes(32).toString('hex');
  const record: ContainerRecord = {
    version: RECORD_VERSION, id, name: options.name ?? `vmm-${id.slice(0, 12)}`, image: reference, command, created: new Date().toISOString(), argv, folder: process.cwd(),
    labels: Object.fromEntries(options.label.map((text) => [text.split('=')[0] ?? '', text.slice(text.indexOf('=') < 0 ? text.length : text.indexOf('=') + 1)])),
  };
  if (options.cidfile !== undefined) writeId(options.cidfile, id);
  state.add(record);
  const status = await startOwner(state, id);
  if (status === 0) print(`${id}\n`);
  else if (options.rm) state.remove(record);
  return status;
}

function writeId(path: string, id: string): void {
  try {
    writeFileSync(path, id, { flag: 'wx' });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new VmmError('USAGE', code === 'EEXIST' ? `--cidfile: ${path} is there already` : `--cidfile: ${path} cannot be written: ${code}`, { cause, hint: 'remove it, or name another' });
  }
}

/** Resolves with 0 once the command runs, else with the status that tells why it does not, which has been told. */
async function startOwner(state: StateFolder, id: string): Promise<number> {
  const owner = spawn(process.execPath, ['--', process.argv[1] ?? '', 'owner', state.root, id], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const pipe = owner.stdio[3] as NodeJS.ReadableStream;
  let text = '';
  pipe.on('data', (chunk: Buffer) => {
    if (text.length < MAX_TOLD) text += chunk.toString();
  });
  await new Promise<void>((resolve, reject) => {
    owner.on('error', reject);
    pipe.on('end', resolve);
  });
  owner.unref();
  if (text === 'started\n') return 0;
  const [status, ...lines] = text.split('\n');
  if (!/^\d+$/.test(status ?? '')) throw new VmmError('CONTAINER_START', 'the container’s process ended before it had started', { hint: 'run it without -d to see why' });
  tell(lines.join('\n'));
  return Number(status);
}
