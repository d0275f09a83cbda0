/*
 * Both ends of the network benchmarks: `ends serve PORT`, and `ends ADDRESS PORT WORK…` with get:MIB, put:MIB, many:COUNT:PARALLEL, each a line
 * `WORK SECONDS`. A client's first five bytes say what it wants: g and how many MiB, p (answered once all has come), e (one byte is answered).
 * As PID 1 of a guest it is 10.0.2.15 behind 10.0.2.2, takes its arguments from the kernel's command line (ends=ADDRESS,PORT,WORK…), and resets the
 * machine at the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD 5
#define WORDS 32

static char buffer[1 << 16];

static void fail(const char *what)
{
	printf("ends: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_AUTOBOOT);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

struct peer {
	int fd;
	unsigned have;
	uint8_t head[HEAD];
	uint64_t left; /* bytes to send */
};

static void forget(struct peer *p)
{
	close(p->fd);
	free(p);
}

/* False: it is over. */
static int readable(struct peer *p, int poll)
{
	for (;;) {
		ssize_t n = p->have < HEAD ? read(p->fd, p->head + p->have, HEAD - p->have) : read(p->fd, buffer, sizeof buffer);

		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return p->have == HEAD && p->head[0] == 'p' && write(p->fd, "!", 1) == 1 ? 0 : p->left > 0;
		if (p->have == HEAD || (p->have += (unsigned)n) < HEAD)
			continue;
		if (p->head[0] == 'e' && write(p->fd, "!", 1) != 1)
			return 0;
		if (p->head[0] == 'g') {
			uint32_t mib;
			struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = p };

			memcpy(&mib, p->head + 1, 4);
			p->left = (uint64_t)mib << 20;
			epoll_ctl(poll, EPOLL_CTL_MOD, p->fd, &event);
		}
	}
}

static int writable(struct peer *p)
{
	while (p->left > 0) {
		ssize_t n = write(p->fd, buffer, p->left < sizeof buffer ? p->left : sizeof buffer);

		if (n < 0)
			return errno == EAGAIN;
		p->left -= (uint64_t)n;
	}
	return 0;
}

static void serve(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), one = 1;
	struct epoll_event event = { .events = EPOLLIN }, events[64];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096))
		fail("listen");
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int count = epoll_wait(poll, events, 64, -1);

		for (int i = 0; i < count; i++) {
			struct peer *p = events[i].data.ptr;

			if (p) {
				if (((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !readable(p, poll)) || ((events[i].events & EPOLLOUT) && !writable(p)))
					forget(p);
				continue;
			}
			for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
				p = calloc(1, sizeof *p);
				p->fd = fd;
				event.data.ptr = p;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
				event.data.ptr = NULL;
			}
		}
	}
}

static int dial(const struct sockaddr_in *address, char what, uint32_t mib, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;
	char head[HEAD] = { what };

	memcpy(head + 1, &mib, 4);
	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (void *)address, sizeof *address) && errno != EINPROGRESS)
		fail("connect");
	if (!(flags & SOCK_NONBLOCK) && write(fd, head, HEAD) != HEAD)
		fail("write");
	return fd;
}

static void get(const struct sockaddr_in *address, uint32_t mib)
{
	int fd = dial(address, 'g', mib, 0);
	uint64_t got = 0;

	for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
		got += (uint64_t)n;
	if (got != (uint64_t)mib << 20)
		fail("too little has come");
	close(fd);
}

static void put(const struct sockaddr_in *address, uint32_t mib)
{
	int fd = dial(address, 'p', mib, 0);

	for (uint64_t left = (uint64_t)mib << 20; left > 0;) {
		ssize_t n = write(fd, buffer, left < sizeof buffer ? left : sizeof buffer);

		if (n < 0)
			fail("write");
		left -= (uint64_t)n;
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, buffer, 1) != 1)
		fail("no answer");
	close(fd);
}

static void many(const struct sockaddr_in *address, long count, long parallel)
{
	struct epoll_event event = { 0 }, events[64];
	int poll = epoll_create1(0);
	long open = 0, begun = 0;

	while (open > 0 || begun < count) {
		int ready;

		for (; open < parallel && begun < count; open++, begun++) {
			event.events = EPOLLOUT;
			event.data.fd = dial(address, 'e', 0, SOCK_NONBLOCK);
			epoll_ctl(poll, EPOLL_CTL_ADD, event.data.fd, &event);
		}
		ready = epoll_wait(poll, events, 64, -1);
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;

			if (events[i].events & EPOLLIN) {
				if (read(fd, buffer, 1) != 1)
					fail("no answer");
				close(fd);
				open--;
			} else if (events[i].events & EPOLLOUT) {
				if (write(fd, "e\0\0\0", HEAD) != HEAD)
					fail("write");
				event.events = EPOLLIN;
				event.data.fd = fd;
				epoll_ctl(poll, EPOLL_CTL_MOD, fd, &event);
			} else {
				fail("a connection has failed");
			}
		}
	}
	close(poll);
}

/* 10.0.2.15/24 behind 10.0.2.2. */
static void configure(void)
{
	struct ifreq card = { .ifr_name = "eth0" };
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct sockaddr_in any = { .sin_family = AF_INET }, address = any;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	if (!freopen("/dev/console", "w", stdout))
		exit(1);
	inet_pton(AF_INET, "10.0.2.15", &address.sin_addr);
	memcpy(&card.ifr_addr, &address, sizeof address);
	if (ioctl(fd, SIOCSIFADDR, &card))
		fail("SIOCSIFADDR");
	inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
	memcpy(&card.ifr_netmask, &address, sizeof address);
	ioctl(fd, SIOCSIFNETMASK, &card);
	card.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &card))
		fail("SIOCSIFFLAGS");
	inet_pton(AF_INET, "10.0.2.2", &address.sin_addr);
	memcpy(&route.rt_gateway, &address, sizeof address);
	memcpy(&route.rt_dst, &any, sizeof any);
	memcpy(&route.rt_genmask, &any, sizeof any);
	if (ioctl(fd, SIOCADDRT, &route))
		fail("SIOCADDRT");
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char *words[WORDS];

	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (getpid() == 1) {
		configure();
		argc = 1;
		for (char *word = strtok(getenv("ends") ? getenv("ends") : "", ","); word && argc < WORDS; word = strtok(NULL, ","))
			words[argc++] = word;
		argv = words;
	}
	if (argc < 4 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		fail("ADDRESS PORT WORK…");
	address.sin_port = htons(atoi(argv[2]));
	for (int i = 3; i < argc; i++) {
		double start = now();
		long count, parallel;

		if (sscanf(argv[i], "get:%ld", &count) == 1)
			get(&address, (uint32_t)count);
		else if (sscanf(argv[i], "put:%ld", &count) == 1)
			put(&address, (uint32_t)count);
		else if (sscanf(argv[i], "many:%ld:%ld", &count, &parallel) == 2)
			many(&address, count, parallel);
		else
			fail(argv[i]);
		printf("%s %.6f\n", argv[i], now() - start);
		fflush(stdout);
	}
	if (getpid() == 1)
		reboot(RB_AUTOBOOT);
	return 0;
}
