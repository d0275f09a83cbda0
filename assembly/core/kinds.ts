/**
 * Kinds of devices on the bus: the number that a device's range carries, and assembly/io/access.ts dispatches by. The
 * software CPU's interrupt controllers and timers are reached before the bus (cpu/memory/mmio.ts, cpu/system/ioport.ts).
 */
export const BUS_VIRTIO: u32 = 1; // arg = device slot
export const BUS_SERIAL: u32 = 2;
export const BUS_I8042: u32 = 3; // arg = 0 for port 0x60, 4 for port 0x64
export const BUS_RTC: u32 = 4;
export const BUS_POWER: u32 = 5; // arg = POWER_*
