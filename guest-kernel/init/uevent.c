/* The kernel's announcements of devices: nothing here polls for a disk. */
#define _GNU_SOURCE
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

static void (*on_block_device)(void);

static void uevent_ready(struct watch *w, uint32_t events)
{
	static char message[8192];
	bool block = false;
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, message, sizeof message - 1, MSG_DONTWAIT)) > 0) {
		message[n] = 0;
		for (char *p = message; p < message + n; p += strlen(p) + 1)
			block |= !strcmp(p, "SUBSYSTEM=block");
	}
	/* ENOBUFS: events were lost, so look anyway */
	if (block || (n < 0 && errno == ENOBUFS))
		on_block_device();
}

static struct watch uevents = { .fd = -1, .ready = uevent_ready };

bool uevent_open(void (*changed)(void))
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	on_block_device = changed;
	if (uevents.fd >= 0)
		return true;
	uevents.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (uevents.fd < 0)
		return false;
	if (bind(uevents.fd, (struct sockaddr *)&address, sizeof address)) {
		close(uevents.fd);
		uevents.fd = -1;
		return false;
	}
	watch_set(&uevents, EPOLLIN);
	return true;
}
