import type { CpuModel } from '../accel/vcpu.ts';
import type { SharedTrace } from '../core/trace.ts';
import type { DiskSpec } from '../devices/disk/open.ts';
import type { ShareSpec } from '../devices/fs/exports.ts';
import type { CardSpec } from '../devices/net/spec.ts';
import type { SymbolNames } from '../boot/symbols.ts';
import type { JitConfig } from '../jit/driver.ts';
import type { CountedConfig } from '../time/counted.ts';
import type { MachineDebugger } from './debugger.ts';

export type AccelName = 'auto' | 'kvm' | 'wasm';

export interface TraceConfig {
  readonly mask: number;
  readonly file: SharedTrace;
}

/** When a process that runs this machine and nothing else gives up what it does not need any more, and what it still needs. */
export interface ConfineConfig {
  /** Before the guest's first instruction; or at once after it, where the guest's kernel is ours and the start is to be quick;
   * or when it is asked for (Machine.confine), before anything of others runs in the guest. */
  readonly when: 'before-entry' | 'after-entry' | 'asked';
  /** Files that are read late, beside kernel and initrd: symbols for a dump. */
  readonly read: readonly string[];
  /** Folders with a socket of ours, which goes at the end. */
  readonly remove: readonly string[];
  /** Folders for files of our own. Where the kernel has no Landlock these cannot be had, and a pod is not confined. */
  readonly write?: readonly string[] | undefined;
}

/** What a machine is made of. The CLI, the library and the tests all give this. */
export interface MachineConfig {
  /** Guest RAM, 16 to 3072 MiB. */
  readonly memoryMib: number;
  /** vCPUs, 1 to 32. */
  readonly cpus: number;
  readonly accel: AccelName;
  /** Default: `host` on KVM, `x86-64-v2` on the software CPU. */
  readonly cpuModel?: CpuModel | undefined;
  /** The software CPU's translator of hot code. Default: on. */
  readonly jit?: JitConfig | undefined;
  /** Path of a vmlinux, bzImage or multiboot kernel. */
  readonly kernel: string;
  readonly initrd?: string | undefined;
  /** Kernel command line; the machine adds what names its devices. */
  readonly append: string;
  /** ACPI tables for distribution kernels instead of MP table and device parameters. `auto`: for a bzImage. */
  readonly acpi?: 'auto' | 'on' | 'off' | undefined;
  readonly disks?: readonly DiskSpec[] | undefined;
  /** Empty drives, which Machine.addDisk fills while the guest runs. Each is a disk of capacity 0 to the guest, and writable: of a read-only image its writes fail. */
  readonly spareDisks?: number | undefined;
  /** Directories of the host, a virtio-fs device each. */
  readonly shares?: readonly ShareSpec[] | undefined;
  /** Network cards, in the order of the guest's eth0, eth1 … Not in counted runs. */
  readonly cards?: readonly CardSpec[] | undefined;
  /** Cards whose link is down until Machine.plugCard gives them a cable. They come behind `cards`. */
  readonly spareCards?: number | undefined;
  /** Where the guest's console is: COM1, virtio console, or nowhere. */
  readonly console: 'serial' | 'hvc' | 'none';
  readonly vsock?: boolean | undefined;
  readonly balloon?: boolean | undefined;
  /** A reset by the guest ends the run instead of starting it again. */
  readonly exitOnReboot?: boolean | undefined;
  /** A byte written to port 0xf4 ends the run. */
  readonly exitOnPort?: boolean | undefined;
  /** Events to trace (traceMask) and the file opened for them (openTrace). */
  readonly trace?: TraceConfig | undefined;
  /** The software CPU in virtual time: the same inputs give the same run. */
  readonly counted?: CountedConfig | undefined;
  /** Names for addresses in dumps; asked for when a dump is made. */
  readonly symbols?: (() => SymbolNames | undefined) | undefined;
  /** Holds the guest before its first instruction until this lets it go. */
  readonly debugger?: MachineDebugger | undefined;
  /** The whole process is bound, for good (docs/threat-model.md). */
  readonly confine?: ConfineConfig | undefined;
}
