#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fatal.h"

#define BATCH 32

static int epoll_fd = -1;
static struct timer *timers;
static struct epoll_event batch[BATCH];
static int batch_count;

struct freed {
	struct freed *next;
};
static struct freed *graveyard;

void loop_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		fatal("epoll_create1: %m");
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void watch_set(struct watch *w, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = w };

	if (w->added && w->events == events)
		return;
	if (epoll_ctl(epoll_fd, w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &event))
		fatal("epoll_ctl: %m");
	w->added = true;
	w->events = events;
}

void watch_remove(struct watch *w)
{
	if (w->fd >= 0 && w->added)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->added = false;
}

void watch_close(struct watch *w)
{
	if (w->fd < 0)
		return;
	/* A child between fork and exec may hold a copy, so closing alone would leave it in epoll. */
	watch_remove(w);
	close(w->fd);
	w->fd = -1;
	for (int i = 0; i < batch_count; i++)
		if (batch[i].data.ptr == w)
			batch[i].data.ptr = NULL;
}

void free_later(void *memory)
{
	struct freed *entry = memory;

	if (!memory)
		return;
	entry->next = graveyard;
	graveyard = entry;
}

void timer_set(struct timer *t, uint64_t milliseconds, void (*expired)(struct timer *))
{
	timer_clear(t);
	t->at = now_ms() + milliseconds;
	t->expired = expired;
	t->armed = true;
	t->next = timers;
	timers = t;
}

void timer_clear(struct timer *t)
{
	if (!t->armed)
		return;
	for (struct timer **link = &timers; *link; link = &(*link)->next) {
		if (*link == t) {
			*link = t->next;
			break;
		}
	}
	t->armed = false;
}

static int next_timeout(void)
{
	uint64_t first = UINT64_MAX, now;

	for (struct timer *t = timers; t; t = t->next)
		if (t->at < first)
			first = t->at;
	if (first == UINT64_MAX)
		return -1;
	now = now_ms();
	return first <= now ? 0 : (int)(first - now);
}

static void run_timers(void)
{
	uint64_t now = now_ms();
	bool again = true;

	/* A handler may change the list, so begin anew after each. */
	while (again) {
		again = false;
		for (struct timer *t = timers; t; t = t->next) {
			if (t->at > now)
				continue;
			timer_clear(t);
			t->expired(t);
			again = true;
			break;
		}
	}
}

void loop_run(void)
{
	for (;;) {
		batch_count = epoll_wait(epoll_fd, batch, BATCH, next_timeout());
		if (batch_count < 0 && errno != EINTR)
			fatal("epoll_wait: %m");
		for (int i = 0; i < batch_count; i++) {
			struct watch *w = batch[i].data.ptr;

			if (w && w->fd >= 0 && w->added)
				w->ready(w, batch[i].events);
		}
		batch_count = 0;
		if (timers)
			run_timers();
		while (graveyard) {
			struct freed *next = graveyard->next;

			free(graveyard);
			graveyard = next;
		}
	}
}
