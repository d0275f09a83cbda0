/*
 * Frames in at one tap and out at another: `frames SIZE COUNT WINDOW` with the taps as descriptors 3 and 4, one thread, a frame a call, as a device does it.
 * Prints seconds of the clock and of this thread's CPU time. Frames above 1,514 bytes are segments of TCP that the kernel is to cut.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 20000
/* What comes goes into pages of a guest's, one after the other. */
#define PAGES 256
#define PAGE 4096

static void fail(const char *what)
{
	fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static unsigned char sent[sizeof(struct virtio_net_hdr_mrg_rxbuf) + 65550], got[PAGES * PAGE];
	struct virtio_net_hdr_mrg_rxbuf *header = (void *)sent;
	size_t size, length;
	long count, window, out = 0, in = 0, at = 0;
	struct iovec pages[18];
	int most;
	const int from = 3, to = 4;
	double wall, cpu;

	if (argc != 4)
		return 2;
	if (ioctl(to, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		fail("TUNSETOFFLOAD");
	size = (size_t)atol(argv[1]);
	count = atol(argv[2]);
	window = atol(argv[3]);
	/* The frame is the standard input's: the same that the other side sends. */
	if (read(0, sent + sizeof *header, size) != (ssize_t)size)
		fail("a frame");
	length = sizeof *header + size;
	most = (int)(length / PAGE) + 1;
	if (size > 1514)
		*header = (struct virtio_net_hdr_mrg_rxbuf){ .hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = 54, .gso_size = 1460, .csum_start = 34, .csum_offset = 16 } };
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	while (in < count) {
		while (out < count && out - in < window) {
			if (write(from, sent, length) < 0) {
				if (errno != EAGAIN)
					fail("write");
				break;
			}
			out++;
		}
		for (;;) {
			ssize_t n;

			for (int i = 0; i < most; i++)
				pages[i] = (struct iovec){ got + (at + i) % PAGES * PAGE, PAGE };
			n = readv(to, pages, most);
			if (n < 0) {
				if (errno != EAGAIN)
					fail("readv");
				break;
			}
			if ((size_t)n == length) {
				in++;
				at += most;
			}
		}
		if (out == count || out - in >= window) {
			struct pollfd p = { .fd = to, .events = POLLIN };

			if (in < count && poll(&p, 1, LIMIT_MS) == 0) {
				errno = ETIMEDOUT;
				fail("a frame is lost");
			}
		}
	}
	printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
	return 0;
}
