import type { HostHooks } from '../core/hooks.ts';
import { diskHooks } from '../devices/disk/disks.ts';
import type { RingerHooks } from '../threads/device-thread.ts';

type Kind = (memory: WebAssembly.Memory, ramSize: number, data: unknown, onEvent: (kind: number, a: number, b: bigint) => void) => Partial<HostHooks>;

/** Kinds of devices whose queues the thread that rings may work on (HostDevice.ringer). */
const KINDS: Readonly<Record<string, Kind>> = { disk: diskHooks };

export const ringerHooks: RingerHooks = (works, memory, ramSize, onEvent) => Object.assign({}, ...works.map(({ kind, data }) => KINDS[kind]?.(memory, ramSize, data, onEvent)));
