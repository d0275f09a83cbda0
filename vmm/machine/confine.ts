import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VmmError } from '../../base/errors.ts';
import { lockDown } from '../host/lockdown/index.ts';
import { reserveShareThread } from './accelerator.ts';
import type { MachineConfig } from './config.ts';
import type { MachineListener } from './listener.ts';

/** What Node reads when a thread starts: its limits. */
const THREAD_READS = ['/proc/self', '/proc/meminfo', '/sys/fs/cgroup'];

let confined = false;
/** Threads that bind themselves. */
const others: number[] = [];

/** Will this machine's process be bound, or is it? Not where the user has turned it off (VMM_CONFINE=off). */
export function confines(config: MachineConfig): boolean {
  return config.confine !== undefined && process.env['VMM_CONFINE'] !== 'off';
}

/** What shares need before the process is bound: a thread that is not. */
export function prepareShares(config: MachineConfig): void {
  if ((config.shares?.length ?? 0) === 0 || !confines(config) || confined || others.length > 0) return;
  const tid = reserveShareThread();
  if (tid === undefined) throw new VmmError('LOCKDOWN', 'the thread for shares cannot be told from others', { hint: 'try again, or VMM_CONFINE=off' });
  others.push(tid);
}

/**
 * Binds this process for good to what the running machine still needs (docs/threat-model.md). Once a process. True when it has just been
 * done; a failure is a note.
 */
export function confine(config: MachineConfig, listener: MachineListener, accelerator: 'kvm' | 'wasm'): boolean {
  if (confined || config.confine === undefined || !confines(config)) return false;
  confined = true;
  const again = !config.exitOnReboot;
  const kvm = accelerator === 'kvm';
  try {
    lockDown({
      paths: {
        read: [...THREAD_READS, ...programFiles(), config.kernel, ...(config.initrd === undefined ? [] : [config.initrd]), ...config.confine.read],
        device: kvm && again ? ['/dev/null', '/dev/kvm'] : ['/dev/null'],
        remove: config.confine.remove,
        write: config.confine.write,
        network: config.cards?.some(({ cable }) => cable.kind === 'user'),
      },
      kvm,
      reopen: again,
      but: others,
    });
    return true;
  } catch (error) {
    if (!(error instanceof VmmError)) throw error;
    // Without the FFI library it is Node's own calls alone, and no KVM.
    if (error.code !== 'FFI_MISSING') listener.note?.(`the process keeps its rights: ${error.message}`);
    return false;
  }
}

/** The code of threads that start later, and the FFI library. */
function programFiles(): string[] {
  const dist = dirname(fileURLToPath(import.meta.url));
  const modules = (createRequire(import.meta.url).resolve.paths('koffi') ?? []).filter((dir) => dir.endsWith('/node_modules'));
  return [dist, join(dirname(dist), 'package.json'), ...modules.flatMap((dir) => [join(dir, '@koromix'), join(dir, 'koffi')])];
}
