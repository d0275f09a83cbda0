/*
 * Init of a guest that measures its disk /dev/vda and its vsock, for two VMMs alike: one line "io NAME BYTES NANOSECONDS" a
 * test on the console. The command line says how much: io=READS,MIB,STREAM_MIB. Then it reboots.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>

enum { DEPTH = 32, BLOCK = 4096, MIB = 1 << 20, PORT = 5000 };

static uint64_t disk_bytes;
static int disk;
static unsigned char *buffer;
static uint32_t seed = 12345;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what) {
  printf("io FAILED %s: %m\n", what);
  fflush(stdout);
  reboot(RB_AUTOBOOT);
}

static void told(const char *name, uint64_t bytes, uint64_t start) {
  printf("io %s %llu %llu\n", name, (unsigned long long)bytes, (unsigned long long)(now() - start));
}

static uint64_t random_block(void) {
  seed = seed * 1664525 + 1013904223;
  return (seed >> 4) % (disk_bytes / BLOCK) * BLOCK;
}

static void random_reads(int depth, int count, const char *name) {
  aio_context_t context = 0;
  struct iocb blocks[DEPTH], *list[DEPTH];
  struct io_event events[DEPTH];
  int submitted = 0, done = 0;
  if (syscall(SYS_io_setup, DEPTH, &context) != 0) fail("io_setup");
  uint64_t start = now();
  for (int slots = depth, first = 0; done < count;) {
    int n = 0;
    for (int i = 0; i < slots && submitted < count; i++, submitted++) {
      int slot = first ? (int)events[i].data : i;
      struct iocb *b = &blocks[slot];
      memset(b, 0, sizeof *b);
      b->aio_data = slot;
      b->aio_lio_opcode = IOCB_CMD_PREAD;
      b->aio_fildes = disk;
      b->aio_buf = (uintptr_t)buffer + slot * BLOCK;
      b->aio_nbytes = BLOCK;
      b->aio_offset = random_block();
      list[n++] = b;
    }
    if (n > 0 && syscall(SYS_io_submit, context, n, list) != n) fail("io_submit");
    slots = syscall(SYS_io_getevents, context, 1, DEPTH, events, NULL);
    if (slots < 1) fail("io_getevents");
    for (int i = 0; i < slots; i++) if (events[i].res != BLOCK) fail("a read");
    done += slots;
    first = 1;
  }
  told(name, (uint64_t)count * BLOCK, start);
  syscall(SYS_io_destroy, context);
}

static void sequential(int write, int mib, const char *name) {
  uint64_t start = now();
  for (int i = 0; i < mib; i++) {
    off_t at = (off_t)i * MIB % disk_bytes;
    if ((write ? pwrite(disk, buffer, MIB, at) : pread(disk, buffer, MIB, at)) != MIB) fail(name);
  }
  if (write && fdatasync(disk) != 0) fail("fdatasync");
  told(name, (uint64_t)mib * MIB, start);
}

/* The host's end reads all of a stream and answers one byte; asked by 'r' it sends as much. */
static void stream(int mib, int warm) {
  struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = PORT};
  for (int receive = 0; receive < 2; receive++) {
    int s = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&host, sizeof host) != 0) fail("connect");
    uint32_t head[2] = {receive, (uint32_t)mib};
    uint64_t start = now(), left = (uint64_t)mib * MIB;
    if (write(s, head, sizeof head) != sizeof head) fail("head");
    while (left > 0) {
      size_t want = left < 65536 ? left : 65536;
      ssize_t n = receive ? read(s, buffer, want) : write(s, buffer, want);
      if (n <= 0) fail("stream");
      left -= n;
    }
    if (!receive && read(s, buffer, 1) != 1) fail("answer");
    told(warm ? "warm" : receive ? "vsock-receive" : "vsock-send", (uint64_t)mib * MIB, start);
    close(s);
  }
}

int main(void) {
  char line[4096] = "";
  mkdir("/proc", 0755);
  mount("proc", "/proc", "proc", 0, "");
  mkdir("/dev", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", 0, "");
  int console = open("/dev/console", O_RDWR);
  dup2(console, 0);
  dup2(console, 1);
  dup2(console, 2);
  int f = open("/proc/cmdline", O_RDONLY);
  if (read(f, line, sizeof line - 1) < 0) fail("command line");
  int reads = 1000, mib = 64, stream_mib = 16;
  char *p = strstr(line, "io=");
  if (p) sscanf(p, "io=%d,%d,%d", &reads, &mib, &stream_mib);
  disk = open("/dev/vda", O_RDWR | O_DIRECT);
  if (disk < 0 || ioctl(disk, BLKGETSIZE64, &disk_bytes) != 0) fail("/dev/vda");
  buffer = aligned_alloc(MIB, MIB);
  memset(buffer, 0x5a, MIB);
  /* Each test twice: the first time is for compilers and caches, of whoever has them. */
  for (int warm = 1; warm >= 0; warm--) random_reads(1, reads, warm ? "warm" : "read-4k-depth-1");
  for (int warm = 1; warm >= 0; warm--) random_reads(DEPTH, 4 * reads, warm ? "warm" : "read-4k-depth-32");
  for (int warm = 1; warm >= 0; warm--) sequential(0, mib, warm ? "warm" : "read-1m");
  for (int warm = 1; warm >= 0; warm--) sequential(1, mib, warm ? "warm" : "write-1m");
  if (stream_mib > 0)
    for (int warm = 1; warm >= 0; warm--) stream(stream_mib, warm);
  printf("io END 0 0\n");
  fflush(stdout);
  usleep(20000);
  reboot(RB_AUTOBOOT);
}
