/**
 * The state in which vCPU 0 meets a kernel. The accelerator turns it into registers.
 *
 * - `protected32`: 32-bit protected mode, paging off, flat segments, interrupts off (PVH: Xen's
 *   docs/misc/pvh.pandoc; multiboot 1: "Machine state").
 * - `long64`: long mode with the given page tables, flat segments, interrupts off (Linux
 *   Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
 */
export type EntryState =
  | { readonly kind: 'protected32'; readonly eip: number; readonly eax: number; readonly ebx: number; readonly gdt: GdtPlace }
  | { readonly kind: 'long64'; readonly rip: bigint; readonly rsi: number; readonly cr3: number; readonly gdt: GdtPlace };

/** Where the boot GDT lies in guest memory; selectors are CODE_SELECTOR and DATA_SELECTOR of assembly/contract/x86.ts. */
export interface GdtPlace {
  readonly base: number;
  /** Bytes minus one, as in GDTR. */
  readonly limit: number;
}

/** What loaders need of guest memory; gpa and lengths in bytes, all within RAM (checked by the implementation). */
export interface GuestMemory {
  readonly ramSize: number;
  write(gpa: number, bytes: Uint8Array): void;
  /** Reads exactly `length` bytes of an open file straight into guest memory. */
  readFile(fd: number, position: number, gpa: number, length: number): void;
}
