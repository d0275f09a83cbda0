/* The event loop: one thread, level-triggered epoll, timers, signals by signalfd. */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A watched descriptor, embedded in its owner; fd -1: not in use. */
struct watch {
	int fd;
	uint32_t events;
	bool added;
	void (*ready)(struct watch *w, uint32_t events);
};

#define WATCH_NONE { .fd = -1 }

struct timer {
	struct timer *next;
	uint64_t at; /* CLOCK_MONOTONIC milliseconds */
	bool armed;
	void (*expired)(struct timer *t);
};

void loop_init(void);
_Noreturn void loop_run(void);

/* Adds or changes; events 0 leaves only EPOLLERR and EPOLLHUP, which cannot be masked. */
void watch_set(struct watch *w, uint32_t events);
/* Takes it out of epoll, so that an unmaskable EPOLLHUP cannot spin the loop. */
void watch_remove(struct watch *w);
void watch_close(struct watch *w);
/* Frees memory once no event of the current batch can name it. */
void free_later(void *memory);

void timer_set(struct timer *t, uint64_t milliseconds, void (*expired)(struct timer *));
void timer_clear(struct timer *t);
uint64_t now_ms(void);

#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

#endif
