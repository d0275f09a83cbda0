/* The control connection: requests in, replies and events out. */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/* Begins to connect and queues HELLO. */
void control_open(void);
void control_reply(uint16_t type, uint32_t id, const struct writer *w);
void control_reply_error(uint16_t type, uint32_t id, const struct failure *f);
void control_event(uint16_t type, const struct writer *w);
/* Tells the host the reason and gives it half a second to read it. */
void control_last_words(const char *text);
/* Sends BYE and calls done() when the host has closed, or after ten seconds. */
void control_bye(void (*done)(void));
/* A disk may have appeared: retries what waits for one. */
void control_retry(void);

#endif
