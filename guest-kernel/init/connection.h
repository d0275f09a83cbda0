/* The control connection: whole messages in and out, and nothing of what they ask for. */
#ifndef VMM_CONNECTION_H
#define VMM_CONNECTION_H

#include <stdint.h>

#include "wire.h"

typedef void message_handler(uint16_t type, uint16_t flags, uint32_t id, struct reader payload);

/* Begins to connect; each message of the host goes to `received`. What is sent before waits. */
void connection_open(message_handler *received);
void connection_reply(uint16_t type, uint32_t id, const struct writer *w);
void connection_reply_error(uint16_t type, uint32_t id, const struct failure *f);
void connection_event(uint16_t type, const struct writer *w);
/* Sends BYE and calls done() when the host has closed, or after ten seconds. */
void connection_bye(void (*done)(void));

#endif
