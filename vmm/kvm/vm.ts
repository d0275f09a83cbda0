import { close, ioctl, ioctlScalar } from '../host/sys.ts';
import {
  KVM_CREATE_IRQCHIP, KVM_CREATE_VCPU, KVM_GET_CLOCK, KVM_GET_IRQCHIP, KVM_IOEVENTFD, KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO, KVM_IRQFD, KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQ_LINE, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, KVM_SET_CLOCK,
  KVM_SET_IDENTITY_MAP_ADDR, KVM_SET_IRQCHIP, KVM_SET_TSS_ADDR, KVM_SET_USER_MEMORY_REGION, kvm_clock_data, kvm_ioeventfd, kvm_irq_level, kvm_irqchip,
  kvm_irqfd, kvm_userspace_memory_region,
} from '../host/uapi/kvm.ts';

/** A piece of guest physical memory. `hostAddress` comes from LinearMemory.hostAddress, which checked its range. */
export interface MemorySlot {
  readonly slot: number;
  readonly gpa: number;
  readonly size: number;
  readonly hostAddress: bigint;
  readonly readOnly?: boolean;
  /** KVM notes which pages the guest writes. */
  readonly logDirty?: boolean;
}

/** Where a guest write is turned into a signal of an eventfd, without an exit. */
export interface IoEvent {
  readonly space: 'mmio' | 'pio';
  readonly address: number;
  /** Bytes of the write: 1, 2, 4, 8, or 0 for any. */
  readonly length: number;
  /** Only a write of this value. */
  readonly value?: number;
}

const structure = (size: number): DataView => new DataView(new ArrayBuffer(size));

/** A VM descriptor: ioctls that concern the whole machine. No policy. */
export class KvmVm {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Three pages below 4 GiB that Intel's VMX needs for real mode; before the first vCPU. */
  setTssAddress(gpa: number): void {
    ioctlScalar(this.fd, KVM_SET_TSS_ADDR, gpa, 'KVM_SET_TSS_ADDR');
  }

  /** One page for the identity map of unpaged protected mode on old VMX; before the first vCPU. */
  setIdentityMapAddress(gpa: number): void {
    ioctl(this.fd, KVM_SET_IDENTITY_MAP_ADDR, new BigUint64Array([BigInt(gpa)]), 'KVM_SET_IDENTITY_MAP_ADDR');
  }

  /** PIC, IOAPIC and a local APIC a vCPU in the kernel; before the first vCPU. */
  createIrqchip(): void {
    ioctlScalar(this.fd, KVM_CREATE_IRQCHIP, 0, 'KVM_CREATE_IRQCHIP');
  }

  setMemory({ slot, gpa, size, hostAddress, readOnly = false, logDirty = false }: MemorySlot): void {
    const region = structure(kvm_userspace_memory_region.sizeof);
    region.setUint32(kvm_userspace_memory_region.slot, slot, true);
    region.setUint32(kvm_userspace_memory_region.flags, (readOnly ? KVM_MEM_READONLY : 0) | (logDirty ? KVM_MEM_LOG_DIRTY_PAGES : 0), true);
    region.setBigUint64(kvm_userspace_memory_region.guest_phys_addr, BigInt(gpa), true);
    region.setBigUint64(kvm_userspace_memory_region.memory_size, BigInt(size), true);
    region.setBigUint64(kvm_userspace_memory_region.userspace_addr, hostAddress, true);
    ioctl(this.fd, KVM_SET_USER_MEMORY_REGION, region, 'KVM_SET_USER_MEMORY_REGION');
  }

  deleteMemory(slot: number): void {
    this.setMemory({ slot, gpa: 0, size: 0, hostAddress: 0n });
  }

  createVcpu(id: number): number {
    return ioctlScalar(this.fd, KVM_CREATE_VCPU, id, 'KVM_CREATE_VCPU');
  }

  /** Level of an interrupt line of the in-kernel chips. */
  irqLine(gsi: number, level: 0 | 1): void {
    const irq = structure(kvm_irq_level.sizeof);
    irq.setUint32(kvm_irq_level.irq, gsi, true);
    irq.setUint32(kvm_irq_level.level, level, true);
    ioctl(this.fd, KVM_IRQ_LINE, irq, 'KVM_IRQ_LINE');
  }

  /** Each signal of `eventfd` becomes one edge on `gsi`. */
  irqfd(eventfd: number, gsi: number, assign = true): void {
    const irqfd = structure(kvm_irqfd.sizeof);
    irqfd.setUint32(kvm_irqfd.fd, eventfd, true);
    irqfd.setUint32(kvm_irqfd.gsi, gsi, true);
    irqfd.setUint32(kvm_irqfd.flags, assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN, true);
    ioctl(this.fd, KVM_IRQFD, irqfd, 'KVM_IRQFD');
  }

  ioeventfd(eventfd: number, event: IoEvent, assign = true): void {
    const request = structure(kvm_ioeventfd.sizeof);
    let flags = event.space === 'pio' ? KVM_IOEVENTFD_FLAG_PIO : 0;
    if (event.value !== undefined) {
      flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
      request.setBigUint64(kvm_ioeventfd.datamatch, BigInt(event.value), true);
    }
    if (!assign) flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
    request.setBigUint64(kvm_ioeventfd.addr, BigInt(event.address), true);
    request.setUint32(kvm_ioeventfd.len, event.length, true);
    request.setInt32(kvm_ioeventfd.fd, eventfd, true);
    request.setUint32(kvm_ioeventfd.flags, flags, true);
    ioctl(this.fd, KVM_IOEVENTFD, request, 'KVM_IOEVENTFD');
  }

  /** State of one in-kernel interrupt chip (KVM_IRQCHIP_*), 512 bytes as KVM lays them out. */
  irqchip(chip: number): Uint8Array {
    const state = new Uint8Array(kvm_irqchip.sizeof);
    state[kvm_irqchip.chip_id] = chip;
    ioctl(this.fd, KVM_GET_IRQCHIP, state, 'KVM_GET_IRQCHIP');
    return state;
  }

  setIrqchip(state: Uint8Array): void {
    ioctl(this.fd, KVM_SET_IRQCHIP, state, 'KVM_SET_IRQCHIP');
  }

  /** kvmclock's nanoseconds. */
  clock(): bigint {
    const data = structure(kvm_clock_data.sizeof);
    ioctl(this.fd, KVM_GET_CLOCK, data, 'KVM_GET_CLOCK');
    return data.getBigUint64(kvm_clock_data.clock, true);
  }

  setClock(nanoseconds: bigint): void {
    const data = structure(kvm_clock_data.sizeof);
    data.setBigUint64(kvm_clock_data.clock, nanoseconds, true);
    ioctl(this.fd, KVM_SET_CLOCK, data, 'KVM_SET_CLOCK');
  }

  close(): void {
    close(this.fd);
  }
}
