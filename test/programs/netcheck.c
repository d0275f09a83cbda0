/*
 * The guest's half of the network tests (test/support/guests/net-program.ts has the host's): netcheck COMMAND ADDRESS PORT [COUNT]. A static
 * program, since a busybox command for each of some thousand connections would take the software CPU minutes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static unsigned char buffer[1 << 16];

static void fail(const char *what)
{
	printf("netcheck: %s: %s\n", what, strerror(errno));
	exit(1);
}

static socklen_t address_of(const char *text, int port, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (void *)address;
	struct sockaddr_in6 *v6 = (void *)address;

	memset(address, 0, sizeof *address);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
		fail(text);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof *v6;
}

static int connected(const char *text, int port, int type)
{
	struct sockaddr_storage address;
	socklen_t length = address_of(text, port, &address);
	int fd = socket(address.ss_family, type, 0);

	if (fd < 0 || connect(fd, (void *)&address, length))
		fail("connect");
	return fd;
}

static void whole(int fd, const unsigned char *bytes, size_t length)
{
	while (length) {
		ssize_t n = write(fd, bytes, length);

		if (n <= 0)
			fail("write");
		bytes += n;
		length -= n;
	}
}

/* Short connections, one after the other: each answers "ok". */
static void many(const char *text, int port, long count)
{
	for (long i = 0; i < count; i++) {
		int fd = connected(text, port, SOCK_STREAM);

		if (read(fd, buffer, sizeof buffer) != 2 || memcmp(buffer, "ok", 2))
			fail("answer");
		if (read(fd, buffer, sizeof buffer) != 0)
			fail("end");
		close(fd);
	}
	printf("many %ld\n", count);
}

/* Datagrams of all sizes, each sent back. */
static void datagrams(const char *text, int port, long count)
{
	struct timeval limit = { 60, 0 };
	int fd = connected(text, port, SOCK_DGRAM);
	long bytes = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	for (long i = 0; i < count; i++) {
		size_t length = 1 + (i * 131) % 1400;

		memset(buffer, i, length);
		if (send(fd, buffer, length, 0) != (ssize_t)length)
			fail("send");
		if (recv(fd, buffer, sizeof buffer, 0) != (ssize_t)length || buffer[length - 1] != (unsigned char)i)
			fail("recv");
		bytes += length;
	}
	printf("datagrams %ld %ld\n", count, bytes);
}

/* Everything that comes, to standard output. */
static void get(const char *text, int port)
{
	int fd = connected(text, port, SOCK_STREAM);
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		whole(1, buffer, n);
	if (n < 0)
		fail("read");
}

/* COUNT bytes of a pattern; prints what the other side says to them. */
static void put(const char *text, int port, long count)
{
	int fd = connected(text, port, SOCK_STREAM);
	ssize_t n;

	for (long sent = 0; sent < count;) {
		size_t part = count - sent < (long)sizeof buffer ? (size_t)(count - sent) : sizeof buffer;

		for (size_t i = 0; i < part; i++)
			buffer[i] = (unsigned char)((sent + i) * 2654435761u >> 24);
		whole(fd, buffer, part);
		sent += part;
	}
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		fwrite(buffer, 1, n, stdout);
	if (n < 0)
		fail("read");
	putchar('\n');
}

/* Echoes COUNT connections, one after the other, on any address. */
static void serve(int port, long count)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int one = 1, fd = socket(AF_INET6, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (void *)&any, sizeof any) || listen(fd, 64))
		fail("listen");
	printf("@listening %d\n", port);
	fflush(stdout);
	for (long i = 0; i < count; i++) {
		int peer = accept(fd, NULL, NULL);
		ssize_t n;

		if (peer < 0)
			fail("accept");
		while ((n = read(peer, buffer, sizeof buffer)) > 0)
			whole(peer, buffer, n);
		close(peer);
	}
	printf("served %ld\n", count);
}

/* So many datagrams in one call, for whoever is below to cut (udp(7), UDP_SEGMENT); waits until all have come back. */
static void segments(const char *text, int port, long count)
{
	struct timeval limit = { 60, 0 };
	int fd = connected(text, port, SOCK_DGRAM), size = 1000;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size))
		fail("UDP_SEGMENT");
	for (long i = 0; i < count; i++)
		memset(buffer + i * size, (int)i, (size_t)size);
	if (send(fd, buffer, count * size, 0) != count * size)
		fail("send");
	for (long i = 0; i < count; i++) {
		unsigned char part[2000];

		if (recv(fd, part, sizeof part, 0) != size || part[0] != (unsigned char)i || part[size - 1] != (unsigned char)i)
			fail("recv");
	}
	printf("segments %ld\n", count);
}

/* `ethtool -K INTERFACE NAME on`: Linux leaves some to its users. */
static void feature(const char *interface, const char *name)
{
	struct {
		struct ethtool_sset_info info;
		__u32 count;
	} asked = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	struct ethtool_gstrings *strings = (void *)buffer;
	struct ethtool_sfeatures *set = calloc(1, sizeof *set + 8 * sizeof set->features[0]);
	struct ifreq request = { .ifr_data = (void *)&asked };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCETHTOOL, &request) || asked.count > 256)
		fail("ETHTOOL_GSSET_INFO");
	*strings = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = asked.count };
	request.ifr_data = (void *)strings;
	if (ioctl(fd, SIOCETHTOOL, &request))
		fail("ETHTOOL_GSTRINGS");
	*set = (struct ethtool_sfeatures){ .cmd = ETHTOOL_SFEATURES, .size = (asked.count + 31) / 32 };
	for (__u32 i = 0; i < asked.count; i++)
		if (!strcmp((char *)strings->data + i * ETH_GSTRING_LEN, name))
			set->features[i / 32].valid = set->features[i / 32].requested = 1u << i % 32;
	request.ifr_data = (void *)set;
	if (ioctl(fd, SIOCETHTOOL, &request) < 0)
		fail("ETHTOOL_SFEATURES");
}

/* Sends datagrams back to whoever they are from, and says who the first was. */
static void echo(int port, long count)
{
	struct sockaddr_storage address;
	struct sockaddr_in6 from;
	socklen_t length;
	char text[INET6_ADDRSTRLEN];
	long i;
	ssize_t n;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (void *)&address, address_of("::", port, &address)) < 0)
		fail("bind");
	printf("echoing\n");
	fflush(stdout);
	for (i = 0; i < count; i++) {
		length = sizeof from;
		n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &length);
		if (n < 0 || sendto(fd, buffer, n, 0, (void *)&from, length) < 0)
			fail("echo");
		if (i == 0)
			printf("from %s\n", inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text));
	}
}

int main(int argc, char **argv)
{
	const char *command = argc > 3 ? argv[1] : "";
	int port = argc > 3 ? atoi(argv[3]) : 0;
	long count = argc > 4 ? atol(argv[4]) : 0;

	if (!strcmp(command, "many"))
		many(argv[2], port, count);
	else if (!strcmp(command, "datagrams"))
		datagrams(argv[2], port, count);
	else if (!strcmp(command, "feature"))
		feature(argv[2], argv[3]);
	else if (!strcmp(command, "segments"))
		segments(argv[2], port, count);
	else if (!strcmp(command, "get"))
		get(argv[2], port);
	else if (!strcmp(command, "put"))
		put(argv[2], port, count);
	else if (!strcmp(command, "serve"))
		serve(port, count);
	else if (!strcmp(command, "echo"))
		echo(port, count);
	else
		return 2;
	return 0;
}
