/* The host's end of guest.c's vsock test, for a VMM whose vsock is the host kernel's: port 5000, one connection at a time. */
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 16];

int main(void) {
  struct sockaddr_vm any = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 5000};
  int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 4) != 0) return perror("vsock"), 1;
  for (;;) {
    int s = accept(listener, NULL, NULL);
    uint32_t head[2];
    if (s < 0 || read(s, head, sizeof head) != sizeof head) return 1;
    uint64_t left = (uint64_t)head[1] << 20;
    while (left > 0) {
      size_t want = left < sizeof buffer ? left : sizeof buffer;
      ssize_t n = head[0] ? write(s, buffer, want) : read(s, buffer, want);
      if (n <= 0) break;
      left -= n;
    }
    if (!head[0] && write(s, "k", 1) != 1) return 1;
    close(s);
  }
}
