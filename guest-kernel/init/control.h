/* The host's requests: each goes to the part that does it, and gets its reply. */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

/* Begins to connect and queues HELLO. */
void control_open(void);

#endif
