/* Connections to the host: AF_VSOCK, or unix sockets in test mode. */
#ifndef VMM_TRANSPORT_H
#define VMM_TRANSPORT_H

#include <stdint.h>

/* A non-blocking socket whose connection is under way or made; -1: errno. */
int host_connect(uint32_t port);
/* The outcome once the socket is writable: 0, or an errno. */
int connect_result(int fd);

#endif
