/* The kernel's announcements of devices: nothing here polls for a disk or a card. */
#define _GNU_SOURCE
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

static void (*on_device)(void);

static void uevent_ready(struct watch *w, uint32_t events)
{
	static char message[8192];
	bool wanted = false;
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, message, sizeof message - 1, MSG_DONTWAIT)) > 0) {
		message[n] = 0;
		for (char *p = message; p < message + n; p += strlen(p) + 1)
			wanted |= !strcmp(p, "SUBSYSTEM=block") || !strcmp(p, "SUBSYSTEM=net");
	}
	/* ENOBUFS: events were lost, so look anyway */
	if (wanted || (n < 0 && errno == ENOBUFS))
		on_device();
}

static struct watch uevents = { .fd = -1, .ready = uevent_ready };

bool uevent_open(void (*changed)(void))
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	on_device = changed;
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
