import { writeAcpi } from '../boot/acpi.ts';
import type { EntryState } from '../boot/entry.ts';
import { kernelFormat } from '../boot/format.ts';
import { loadKernel } from '../boot/kernel.ts';
import { writeMpTable } from '../boot/mptable.ts';
import type { Hardware } from './build.ts';
import type { MachineConfig } from './config.ts';
import { deviceParameters } from './devices.ts';
import { MachineMemory } from './memory.ts';

/** Puts kernel, initramfs and the tables that describe the machine into guest memory: the state that vCPU 0 starts from. */
export function loadProgram(config: MachineConfig, { linear, ramSize, core, places }: Hardware): EntryState {
  const guest = new MachineMemory(linear.memory, ramSize, (gpa, length) => core.guest_written(gpa, length));
  const acpi = config.acpi === 'on' || (config.acpi !== 'off' && kernelFormat(config.kernel) === 'bzimage');
  const slots = places.map((place) => place.slot);
  const rsdp = acpi ? writeAcpi(guest, config.cpus, slots) : 0;
  if (!acpi) writeMpTable(guest, config.cpus);
  const append = [config.append, ...(acpi ? [] : deviceParameters(slots))].filter((part) => part !== '').join(' ');
  return loadKernel(guest, { kernel: config.kernel, initrd: config.initrd, append, rsdp }).entry;
}
