/* A driver's part of virtio-mmio for a guest of ring 3 (virtio 1.2 §4.2): registers of the device at `base`, and what finds it. */
#include "ring3.h"

enum { MagicValue = 0, DeviceID = 8, DeviceFeatures = 0x10, DeviceFeaturesSel = 0x14, DriverFeatures = 0x20, DriverFeaturesSel = 0x24, QueueSel = 0x30, QueueNumMax = 0x34,
  QueueNum = 0x38, QueueReady = 0x44, QueueNotify = 0x50, Status = 0x70, QueueDesc = 0x80, QueueDriver = 0x90, QueueDevice = 0xa0, Config = 0x100 };
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { VIRTIO_F_EVENT_IDX = 1 << 29, VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2 };

struct virtq_desc { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct virtq_used_elem { uint32_t id, len; };

static uint64_t base;

static void failed(const char *what) {
  text("io FAILED ");
  text(what);
  text("\n");
  end();
}

static uint32_t in(uint32_t offset) {
  uint32_t value;
  __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(base + offset) : "memory");
  return value;
}

static void out(uint32_t offset, uint32_t value) {
  __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(base + offset) : "memory");
}

static void out64(uint32_t offset, const volatile void *address) {
  out(offset, (uint32_t)(uintptr_t)address);
  out(offset + 4, (uint32_t)((uintptr_t)address >> 32));
}

static const char *after(const char *line, const char *word) {
  for (; *line; line++) {
    const char *p = line, *w = word;
    while (*w && *p == *w) p++, w++;
    if (!*w) return p;
  }
  return NULL;
}

static uint64_t parse(const char **at, unsigned radix) {
  uint64_t n = 0;
  for (;; (*at)++) {
    unsigned c = (uint8_t)**at, digit = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
    if (digit >= radix) return n;
    n = n * radix + digit;
  }
}

static uint32_t offered(uint32_t half) {
  out(DeviceFeaturesSel, half);
  return in(DeviceFeatures);
}

static void take(uint32_t half, uint32_t features) {
  out(DriverFeaturesSel, half);
  out(DriverFeatures, features);
}

/* Up to FEATURES_OK, with these features of the lower half and VERSION_1. */
static void negotiate(uint32_t wanted) {
  out(Status, 0);
  out(Status, ACKNOWLEDGE | DRIVER);
  if ((offered(0) & wanted) != wanted || (offered(1) & 1) == 0) failed("features");
  take(0, wanted);
  take(1, 1);
  out(Status, ACKNOWLEDGE | DRIVER | FEATURES_OK);
  if ((in(Status) & FEATURES_OK) == 0) failed("FEATURES_OK");
}

static void start_queue(uint32_t index, uint32_t size, const volatile void *table, const volatile void *avail, const volatile void *used) {
  out(QueueSel, index);
  if (in(QueueNumMax) < size) failed("QueueNumMax");
  out(QueueNum, size);
  out64(QueueDesc, table);
  out64(QueueDriver, avail);
  out64(QueueDevice, used);
  out(QueueReady, 1);
}

static void driver_ok(void) {
  out(Status, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

/* The next device of `id` that the command line names from `*line` on becomes `base`; false: there is none. */
static int next_device(const char **line, uint32_t id) {
  while ((*line = after(*line, "virtio_mmio.device=")) && (*line = after(*line, "@0x"))) {
    base = parse(line, 16);
    if (in(MagicValue) == 0x74726976 && in(DeviceID) == id) return 1;
  }
  return 0;
}
