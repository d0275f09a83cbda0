/* Connections to a port that nobody has to listen at. */
#ifndef VMM_DIVERT_H
#define VMM_DIVERT_H

#include <stdint.h>

#include "wire.h"

/*
 * Connections of TCP to `port` of the address (IPv4, in network order) come to `listener`, a socket that listens, for as long as init runs. Who
 * listens at that port of all addresses has all others. 0, or -1 with f filled.
 */
int divert_port(int listener, const uint8_t address[4], uint32_t port, struct failure *f);

#endif
