import { close, ioctl, ioctlScalar, open } from '../host/sys.ts';
import { O_RDWR } from '../host/uapi/linux.ts';
import {
  KVM_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION, KVM_GET_MSR_INDEX_LIST, KVM_GET_SUPPORTED_CPUID, KVM_GET_VCPU_MMAP_SIZE, kvm_cpuid2,
  kvm_cpuid_entry2, kvm_msr_list,
} from '../host/uapi/kvm.ts';
import { VmmError } from '../../base/errors.ts';
import { type CpuidEntry, readCpuid } from './cpuid.ts';
import { KvmVm } from './vm.ts';

const CPUID_MAX = 256;
const MSRS_MAX = 4096;

/** /dev/kvm: system ioctls (Linux Documentation/virt/kvm/api.rst §4). */
export class KvmSystem {
  readonly fd: number;
  #mmapSize: number | undefined;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Throws HostCallError (ENOENT, EACCES …) or KVM_VERSION. */
  static open(path = '/dev/kvm'): KvmSystem {
    const fd = open(path, O_RDWR);
    const version = ioctlScalar(fd, KVM_GET_API_VERSION, 0, 'KVM_GET_API_VERSION');
    if (version !== KVM_API_VERSION) {
      close(fd);
      throw new VmmError('KVM_VERSION', `${path} speaks version ${version} of KVM's interface, not ${KVM_API_VERSION}`, { hint: 'use a Linux kernel from 2.6.22 on' });
    }
    return new KvmSystem(fd);
  }

  /** Value of a capability (KVM_CAP_*), 0 when absent. */
  extension(capability: number): number {
    return ioctlScalar(this.fd, KVM_CHECK_EXTENSION, capability, 'KVM_CHECK_EXTENSION');
  }

  /** Bytes to map of each vCPU descriptor. */
  get vcpuMmapSize(): number {
    this.#mmapSize ??= ioctlScalar(this.fd, KVM_GET_VCPU_MMAP_SIZE, 0, 'KVM_GET_VCPU_MMAP_SIZE');
    return this.#mmapSize;
  }

  /** What KVM and this processor can give a guest. */
  supportedCpuid(): CpuidEntry[] {
    const buffer = new DataView(new ArrayBuffer(kvm_cpuid2.sizeof + CPUID_MAX * kvm_cpuid_entry2.sizeof));
    buffer.setUint32(kvm_cpuid2.nent, CPUID_MAX, true);
    ioctl(this.fd, KVM_GET_SUPPORTED_CPUID, buffer, 'KVM_GET_SUPPORTED_CPUID');
    return readCpuid(buffer);
  }

  /** MSRs that a guest's state consists of beside registers. */
  msrIndexList(): number[] {
    const buffer = new DataView(new ArrayBuffer(kvm_msr_list.sizeof + MSRS_MAX * 4));
    buffer.setUint32(kvm_msr_list.nmsrs, MSRS_MAX, true);
    ioctl(this.fd, KVM_GET_MSR_INDEX_LIST, buffer, 'KVM_GET_MSR_INDEX_LIST');
    const list: number[] = [];
    const count = buffer.getUint32(kvm_msr_list.nmsrs, true);
    for (let i = 0; i < count; i++) list.push(buffer.getUint32(kvm_msr_list.indices + 4 * i, true));
    return list;
  }

  createVm(): KvmVm {
    for (;;) {
      try {
        return new KvmVm(ioctlScalar(this.fd, KVM_CREATE_VM, 0, 'KVM_CREATE_VM'));
      } catch (error) {
        // A signal can interrupt the making of a VM (api.rst §4.2).
        if ((error as { errnoName?: string }).errnoName !== 'EINTR') throw error;
      }
    }
  }

  close(): void {
    close(this.fd);
  }
}
