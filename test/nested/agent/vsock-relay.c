/*
 * vsock-relay DIRECTORY: passes connections to vsock ports 1024 and 1025 on to the unix sockets
 * DIRECTORY/1024 and DIRECTORY/1025, half-closes included. With the kernel's vsock_loopback, init's
 * connections to the host (CID 2) end here. DIRECTORY is a link that each test turns to its own.
 * Goes into the background once it listens.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void pump(int from, int to)
{
	static char bytes[65536];
	ssize_t n;

	while ((n = read(from, bytes, sizeof bytes)) > 0) {
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(to, bytes + done, (size_t)(n - done));
			if (w < 0) {
				/* The reader is gone: so is what it would have got. */
				shutdown(from, SHUT_RD);
				return;
			}
		}
	}
	shutdown(to, SHUT_WR);
}

static void carry(int guest, const char *directory, unsigned port)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int host = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/%u", directory, port);
	if (connect(host, (struct sockaddr *)&address, sizeof address))
		_exit(1);
	if (fork() == 0) {
		pump(host, guest);
		_exit(0);
	}
	pump(guest, host);
	_exit(0);
}

static int listen_on(unsigned port)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 128)) {
		perror("vsock");
		_exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	unsigned ports[2] = { 1024, 1025 };
	int fds[2] = { listen_on(1024), listen_on(1025) };
	int which;

	if (argc != 2 || daemon(1, 0))
		return 1;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	which = fork() == 0;
	for (;;) {
		int guest = accept(fds[which], NULL, NULL);

		if (guest < 0 && errno != EINTR)
			return 1;
		if (guest >= 0 && fork() == 0)
			carry(guest, argv[1], ports[which]);
		close(guest);
	}
}
