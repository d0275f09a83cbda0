// Keeps a VM of KVM open until it is killed: KVM then changes none of the kernel's code when other VMs come and go.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void) {
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0) return 1;
  for (;;) pause();
}
