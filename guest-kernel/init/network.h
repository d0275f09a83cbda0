/* Network cards: addresses, routes and the files that name hosts, as the host tells them. */
#ifndef VMM_NETWORK_H
#define VMM_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/*
 * NETWORK. 0, or -1 with f filled. ERR_DEVICE with errno ENOENT: a card is not there yet; what came before it in the message
 * has been done, and is done again to the same effect.
 */
int network_configure(struct reader payload, struct failure *f);
/* SLOT of a card: the name of the interface with this address, "02:00:00:00:00:01". False: there is none. */
bool network_card(const char *address, char name[16]);
/* LISTEN: gives the loopback interface an address, as ADDRESS has it; again to the same effect. */
int network_loopback(const struct field *address, struct failure *f);
/* SLOT REMOVE: the card's interface is switched off. */
int network_release(const char *address, struct failure *f);

#endif
