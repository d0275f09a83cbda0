/*
 * A driver for two virtio-net devices on virtio-mmio, polling, for a guest of ring 3 (bench/guest/ring3.S): frames that go out at one, whose address ends
 * in 1, come in at the other. Line a test: "net NAME FRAMES TICKS". The command line names the devices (virtio_mmio.device=4K@0xADDRESS:IRQ) and how
 * many: net=FRAMES. virtio 1.2 §2.7 (split queue, event index), §4.2, §5.1.
 */
#include "../guest/virtio.h"

enum { QUEUE = 128, WINDOW = 64, HEADER = 12, ROOM = 2048, RX = 0, TX = 1, NET = 1 };

static _Alignas(4096) struct queue {
  struct virtq_desc table[QUEUE];
  struct { uint16_t flags, idx, ring[QUEUE], used_event; } avail;
  _Alignas(4) struct { uint16_t flags, idx; struct virtq_used_elem ring[QUEUE]; uint16_t avail_event; } used;
  uint64_t device;
  uint32_t index;
  uint16_t told, seen;
} queues[2][2];
static _Alignas(4096) uint8_t buffers[QUEUE][ROOM], frame[ROOM];

static void start(struct queue *two) {
  negotiate(VIRTIO_F_EVENT_IDX);
  for (uint32_t i = RX; i <= TX; i++) {
    struct queue *q = &two[i];
    q->device = base;
    q->index = i;
    /* Interrupts are never wanted: the event stays behind. */
    q->avail.used_event = -QUEUE;
    start_queue(i, QUEUE, q->table, &q->avail, &q->used);
  }
  driver_ok();
}

/* Descriptors are used in turn. */
static void offer(struct queue *q) {
  q->avail.ring[q->told % QUEUE] = q->told % QUEUE;
  q->told++;
}

static void publish(struct queue *q) {
  uint16_t old = q->avail.idx;
  if (old == q->told) return;
  __atomic_store_n(&q->avail.idx, q->told, __ATOMIC_RELEASE);
  /* §2.7.10: the index must be seen before the event is read. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  uint16_t event = __atomic_load_n(&q->used.avail_event, __ATOMIC_RELAXED);
  base = q->device;
  if ((uint16_t)(q->told - event - 1) < (uint16_t)(q->told - old)) out(QueueNotify, q->index);
}

static int taken(struct queue *q) {
  uint16_t count = __atomic_load_n(&q->used.idx, __ATOMIC_ACQUIRE) - q->seen;
  q->seen += count;
  q->avail.used_event = q->seen - QUEUE - 1;
  return count;
}

static void through(struct queue *from, struct queue *to, uint32_t length, long count, const char *name) {
  for (int i = 0; i < QUEUE; i++) from->table[i] = (struct virtq_desc){(uintptr_t)frame, HEADER + length, 0, 0};
  uint64_t begin = ticks();
  long sent = 0, come = 0, out_there = 0;
  while (come < count) {
    for (; sent < count && sent - come < WINDOW && out_there < QUEUE; sent++, out_there++) offer(from);
    publish(from);
    int heard = taken(to);
    for (int i = 0; i < heard; i++) offer(to);
    come += heard;
    if (heard) publish(to);
    else __builtin_ia32_pause();
    out_there -= taken(from);
  }
  uint64_t took = ticks() - begin;
  text("net ");
  text(name);
  text(" ");
  number((uint64_t)count);
  text(" ");
  number(took);
  text("\n");
}

void guest(const struct hvm_start_info *info) {
  const char *line = (const char *)info->cmdline_paddr, *at;
  if (!(at = after(line, "net="))) failed("the command line has no net=");
  long count = (long)parse(&at, 10);
  int there = 0;
  while (next_device(&line, NET)) {
    int which = (in(Config + 4) >> 8 & 0xff) - 1;
    if (which != 0 && which != 1) failed("a card's address");
    start(queues[which]);
    there |= 1 << which;
  }
  if (there != 3) failed("two cards");
  struct queue *to = &queues[1][RX];
  for (int i = 0; i < QUEUE; i++) {
    to->table[i] = (struct virtq_desc){(uintptr_t)buffers[i], ROOM, VIRTQ_DESC_F_WRITE, 0};
    offer(to);
  }
  publish(to);
  /* For the other card, from this one, of a type that nobody reads. */
  static const uint8_t head[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
  for (unsigned i = 0; i < sizeof head; i++) frame[HEADER + i] = head[i];
  struct queue *from = &queues[0][TX];
  /* The host's links are up once a frame has gone through. */
  for (int heard = 0; !heard;) {
    from->table[from->told % QUEUE] = (struct virtq_desc){(uintptr_t)frame, HEADER + 64, 0, 0};
    offer(from);
    publish(from);
    for (uint64_t begin = ticks(); !heard && ticks() - begin < 200000000;) heard = taken(to);
    for (int i = 0; i < heard; i++) offer(to);
    publish(to);
    taken(from);
  }
  /* Each test twice, for compilers and caches. */
  for (int warm = 1; warm >= 0; warm--) through(from, to, 64, count, warm ? "warm" : "64");
  for (int warm = 1; warm >= 0; warm--) through(from, to, 1514, count, warm ? "warm" : "1514");
  text("net END 0 0\n");
  end();
}
