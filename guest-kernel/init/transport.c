#define _GNU_SOURCE
#include "transport.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "options.h"

int host_connect(uint32_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_vm vm;
		struct sockaddr_un un;
	} address = { 0 };
	socklen_t length;
	int fd;

	if (options.test_directory && !options.test_vsock) {
		address.un.sun_family = AF_UNIX;
		snprintf(address.un.sun_path, sizeof address.un.sun_path, "%s/%u", options.test_directory, port);
		length = sizeof address.un;
	} else {
		address.vm.svm_family = AF_VSOCK;
		address.vm.svm_cid = VMADDR_CID_HOST;
		address.vm.svm_port = port;
		length = sizeof address.vm;
	}
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (address.any.sa_family == AF_VSOCK) {
		/* The kernel's 2 s are too few for a host under load, or a machine that is emulated. */
		struct timeval timeout = { .tv_sec = 60 };

		setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout);
	}
	if (connect(fd, &address.any, length) && errno != EINPROGRESS) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

int connect_result(int fd)
{
	int err = 0;
	socklen_t length = sizeof err;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length))
		return errno;
	return err;
}
