/*
 * A driver for a virtio-blk device on virtio-mmio, polling, for a guest of ring 3 (bench/guest/ring3.S): reads of 4 KiB at depth 1
 * and 32, reads and writes of 1 MiB in a row. An empty drive is waited for ("io EMPTY"). Line a test: "io NAME BYTES TICKS". The command line names the device
 * (virtio_mmio.device=4K@0xADDRESS:IRQ) and how much: io=READS,MIB. virtio 1.2 §2.7 (split queue, event index), §4.2, §5.2.
 */
#include "../guest/virtio.h"

enum { DEPTH = 32, BLOCK = 4096, MIB = 1 << 20, SECTOR = 512, QUEUE = 128, DESCRIPTORS = 3 };
enum { VIRTIO_BLK_T_IN = 0, VIRTIO_BLK_T_OUT = 1, VIRTIO_BLK_T_FLUSH = 4, VIRTIO_BLK_F_FLUSH = 1 << 9, Capacity = Config };

struct virtio_blk_req { uint32_t type, reserved; uint64_t sector; };

static _Alignas(4096) struct virtq_desc table[QUEUE];
static _Alignas(4096) struct { uint16_t flags, idx, ring[QUEUE], used_event; } avail;
static _Alignas(4096) struct { uint16_t flags, idx; struct virtq_used_elem ring[QUEUE]; uint16_t avail_event; } used;
static struct virtio_blk_req headers[DEPTH];
static volatile uint8_t states[DEPTH];
static _Alignas(4096) uint8_t buffer[MIB];
static uint64_t sectors;
static uint16_t told_idx, seen_idx;
static uint32_t seed = 12345;

static void start_device(void) {
  negotiate(VIRTIO_BLK_F_FLUSH | VIRTIO_F_EVENT_IDX);
  start_queue(0, QUEUE, table, &avail, &used);
  driver_ok();
  sectors = in(Capacity) | (uint64_t)in(Capacity + 4) << 32;
  if (sectors > 0) return;
  text("io EMPTY\n");
  while (sectors == 0) sectors = in(Capacity) | (uint64_t)in(Capacity + 4) << 32;
}

/* Request `slot` (its own descriptors) into the ring; `publish` shows it to the device. */
static void submit(int slot, uint32_t type, uint64_t sector, void *data, uint32_t length) {
  struct virtq_desc *d = &table[slot * DESCRIPTORS];
  uint16_t first = slot * DESCRIPTORS;
  headers[slot] = (struct virtio_blk_req){.type = type, .sector = sector};
  states[slot] = 0xff;
  d[0] = (struct virtq_desc){(uintptr_t)&headers[slot], sizeof headers[slot], VIRTQ_DESC_F_NEXT, length ? first + 1 : first + 2};
  d[1] = (struct virtq_desc){(uintptr_t)data, length, VIRTQ_DESC_F_NEXT | (type == VIRTIO_BLK_T_IN ? VIRTQ_DESC_F_WRITE : 0), first + 2};
  d[2] = (struct virtq_desc){(uintptr_t)&states[slot], 1, VIRTQ_DESC_F_WRITE, 0};
  avail.ring[told_idx++ % QUEUE] = first;
}

static void publish(void) {
  uint16_t old = avail.idx;
  __atomic_store_n(&avail.idx, told_idx, __ATOMIC_RELEASE);
  /* §2.7.10: the index must be seen before the event is read. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  uint16_t event = __atomic_load_n(&used.avail_event, __ATOMIC_RELAXED);
  if ((uint16_t)(told_idx - event - 1) < (uint16_t)(told_idx - old)) out(QueueNotify, 0);
}

/* Waits for the next request that is done; its slot. Interrupts are never wanted: the event stays behind. */
static int wait(void) {
  while (__atomic_load_n(&used.idx, __ATOMIC_ACQUIRE) == seen_idx) __builtin_ia32_pause();
  int slot = used.ring[seen_idx % QUEUE].id / DESCRIPTORS;
  avail.used_event = seen_idx++ - QUEUE;
  if (states[slot] != 0) failed("a request");
  return slot;
}

static void told(const char *name, uint64_t bytes, uint64_t start) {
  uint64_t took = ticks() - start;
  text("io ");
  text(name);
  text(" ");
  number(bytes);
  text(" ");
  number(took);
  text("\n");
}

static void submit_read(int slot) {
  seed = seed * 1664525 + 1013904223;
  submit(slot, VIRTIO_BLK_T_IN, (seed >> 4) % (sectors / (BLOCK / SECTOR)) * (BLOCK / SECTOR), buffer + slot * BLOCK, BLOCK);
}

static void random_reads(int depth, int count, const char *name) {
  uint64_t start = ticks();
  int submitted = 0;
  while (submitted < depth) submit_read(submitted++);
  publish();
  for (int done = 0; done < count; done++) {
    int slot = wait();
    if (submitted == count) continue;
    submit_read(slot);
    submitted++;
    publish();
  }
  told(name, (uint64_t)count * BLOCK, start);
}

static void one(uint32_t type, uint64_t sector, uint32_t length) {
  submit(0, type, sector, buffer, length);
  publish();
  wait();
}

static void sequential(uint32_t type, int mib, const char *name) {
  uint64_t start = ticks();
  for (int i = 0; i < mib; i++) one(type, (uint64_t)i * (MIB / SECTOR) % sectors, MIB);
  if (type == VIRTIO_BLK_T_OUT) one(VIRTIO_BLK_T_FLUSH, 0, 0);
  told(name, (uint64_t)mib * MIB, start);
}

void guest(const struct hvm_start_info *info) {
  const char *line = (const char *)info->cmdline_paddr, *at;
  if (!(at = after(line, "io="))) failed("the command line has no io=");
  int reads = parse(&at, 10);
  at++;
  int mib = parse(&at, 10);
  if (!next_device(&line, 2)) failed("no virtio-blk device");
  avail.used_event = -QUEUE;
  start_device();
  /* Each test twice: the first time is for compilers and caches, of whoever has them. */
  for (int warm = 1; warm >= 0; warm--) random_reads(1, reads, warm ? "warm" : "read-4k-depth-1");
  for (int warm = 1; warm >= 0; warm--) random_reads(DEPTH, 4 * reads, warm ? "warm" : "read-4k-depth-32");
  for (int warm = 1; warm >= 0; warm--) sequential(VIRTIO_BLK_T_IN, mib, warm ? "warm" : "read-1m");
  for (int warm = 1; warm >= 0; warm--) sequential(VIRTIO_BLK_T_OUT, mib, warm ? "warm" : "write-1m");
  text("io END 0 0\n");
  end();
}
