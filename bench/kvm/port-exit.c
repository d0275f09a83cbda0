/* The least that answers a guest's port exits: a bare KVM_RUN loop over one vCPU. Built as a shared object for port-exit-inside.mjs. */
#include <elf.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RAM = 4 << 20, COM1 = 0x3f8, EXIT_PORT = 0xf4 };

static int load(const uint8_t *elf, size_t size, uint8_t *ram) {
  const Elf64_Ehdr *head = (const void *)elf;
  if (size < sizeof *head || head->e_phoff + head->e_phnum * sizeof(Elf64_Phdr) > size) return -1;
  const Elf64_Phdr *part = (const void *)(elf + head->e_phoff);
  for (int i = 0; i < head->e_phnum; i++) {
    if (part[i].p_type != PT_LOAD) continue;
    if (part[i].p_paddr + part[i].p_memsz > RAM || part[i].p_offset + part[i].p_filesz > size) return -1;
    memcpy(ram + part[i].p_paddr, elf + part[i].p_offset, part[i].p_filesz);
  }
  return 0;
}

/* Flat 32-bit protected mode, as PVH has it. */
static int registers(int vcpu, uint32_t entry) {
  struct kvm_sregs sregs;
  if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0) return -1;
  struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1 }, data = code;
  data.selector = 16;
  data.type = 3;
  sregs.cs = code;
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
  sregs.cr0 = 0x11;
  struct kvm_regs regs = { .rip = entry, .rflags = 2 };
  return ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0 ? -1 : 0;
}

/* All that KVM supports: a processor without long mode refuses EFER.LME. */
static int cpuid(int kvm, int vcpu) {
  static struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[256]; } all;
  all.head.nent = 256;
  return ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &all) < 0 ? -1 : ioctl(vcpu, KVM_SET_CPUID2, &all);
}

/* What the guest wrote to COM1; its length, or minus the step that failed. */
int bare(const uint8_t *elf, size_t size, char *out, size_t room) {
  size_t n = 0;
  int step = -1, kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1, vcpu = -1;
  uint8_t *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct kvm_run *run = MAP_FAILED;
  int length = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (kvm < 0 || ram == MAP_FAILED || length < 0) goto end;
  step = -2;
  if ((vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0 || ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000) < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0) goto end;
  struct kvm_userspace_memory_region region = { .memory_size = RAM, .userspace_addr = (uintptr_t)ram };
  step = -3;
  if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 || (vcpu = ioctl(vm, KVM_CREATE_VCPU, 0)) < 0) goto end;
  run = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  step = -4;
  if (run == MAP_FAILED || load(elf, size, ram) < 0 || cpuid(kvm, vcpu) < 0 || registers(vcpu, ((const Elf64_Ehdr *)elf)->e_entry) < 0) goto end;
  step = -5;
  for (;;) {
    if (ioctl(vcpu, KVM_RUN, 0) < 0 || run->exit_reason != KVM_EXIT_IO) goto end;
    if (run->io.port == EXIT_PORT) break;
    if (run->io.port == COM1 && n < room) out[n++] = ((const char *)run)[run->io.data_offset];
  }
  step = n;
end:
  if (run != MAP_FAILED) munmap(run, length);
  if (vcpu >= 0) close(vcpu);
  if (vm >= 0) close(vm);
  if (kvm >= 0) close(kvm);
  if (ram != MAP_FAILED) munmap(ram, RAM);
  return step;
}
