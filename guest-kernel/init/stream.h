/*
 * One standard stream of a process: a pipe or terminal inside, a connection to the host outside. Or a connection of the guest's
 * that a listener took (STREAM_SOCKET), carried to the host.
 */
#ifndef VMM_STREAM_H
#define VMM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

#define STREAM_BUFFER 65536

/* One direction. */
struct pump {
	uint8_t *bytes;
	uint32_t offset, length; /* what is read and not yet written */
	bool active;
	bool ended;              /* the source gave its end */
	uint64_t total;
};

struct stream {
	struct stream *next_lingering;
	void (*drained)(void *owner); /* NULL once the owner is gone; of a STREAM_SOCKET: both directions have ended */
	void *owner;
	uint16_t number;
	bool connecting, exited, lingering;
	bool lost; /* the connection ended before the output did */
	uint64_t left; /* once exited: bytes still to be taken from the process's side */
	uint32_t head_left;
	uint8_t head[32];
	struct watch socket, local;
	struct pump up, down; /* to the host, to the process */
};

/*
 * Connects to the host and takes over `local` (init's end: a pipe, a terminal's master, a socket).
 * NULL: errno says why, and `local` is closed.
 */
struct stream *stream_open(uint32_t process, uint16_t number, int local, void (*drained)(void *), void *owner);
/* Begins to pump; the process exists now. */
void stream_begin(struct stream *s);
/* The process has ended: takes what it left behind, then calls drained(). */
void stream_process_ended(struct stream *s);
/* Whether all output has been handed to the connection. */
bool stream_is_drained(const struct stream *s);
/* The owner lets go. A drained stream waits for the host's end; others close now. */
void stream_release(struct stream *s);

/* The secret that each stream's header carries. */
void stream_set_token(const uint8_t *token);
void stream_forget_token(void);

#endif
