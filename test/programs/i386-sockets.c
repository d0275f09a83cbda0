/*
 * i386 without a C library (none for it is installed): a byte over TCP by socketcall(2) alone, as Debian's i386 C library makes its sockets; then calls
 * that a filter may refuse, each with what came of it. gcc -m32 -nostdlib -static
 */
#define EPERM 1
#define ENOSYS 38

static int call(int number, int a, int b, int c)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0) : "memory");
	return result;
}

enum { EXIT = 1, WRITE = 4, CLOSE = 6, MOUNT = 21, SOCKETCALL = 102, UNSHARE = 310, SOCKET = 359, KEYCTL = 288, IO_URING_SETUP = 425, CLONE3 = 435 };
/* linux/net.h */
enum { DO_SOCKET = 1, DO_BIND, DO_CONNECT, DO_LISTEN, DO_ACCEPT, DO_GETSOCKNAME, DO_GETPEERNAME, DO_SOCKETPAIR, DO_SEND, DO_RECV };
enum { AF_INET = 2, AF_VSOCK = 40, SOCK_STREAM = 1 };

static int by_socketcall(int what, long a, long b, long c, long d)
{
	long args[6] = { a, b, c, d, 0, 0 };

	return call(SOCKETCALL, what, (int)args, 0);
}

static void say(const char *text)
{
	int length = 0;

	while (text[length])
		length++;
	call(WRITE, 1, (int)text, length);
}

static void verdict(const char *name, int result)
{
	say(name);
	say(result >= 0 ? " ok\n" : result == -EPERM ? " EPERM\n" : result == -ENOSYS ? " ENOSYS\n" : " another error\n");
}

static const char *round_trip(void)
{
	unsigned char at[16] = { AF_INET, 0, 0, 0, 127, 0, 0, 1 };
	int length = sizeof at;
	int server = by_socketcall(DO_SOCKET, AF_INET, SOCK_STREAM, 0, 0);
	char out = 'x', in = 0;

	if (server < 0)
		return "no socket\n";
	if (by_socketcall(DO_BIND, server, (long)at, sizeof at, 0) || by_socketcall(DO_LISTEN, server, 1, 0, 0))
		return "no server\n";
	if (by_socketcall(DO_GETSOCKNAME, server, (long)at, (long)&length, 0))
		return "no name\n";
	int client = by_socketcall(DO_SOCKET, AF_INET, SOCK_STREAM, 0, 0);
	if (by_socketcall(DO_CONNECT, client, (long)at, sizeof at, 0))
		return "no connection\n";
	int peer = by_socketcall(DO_ACCEPT, server, 0, 0, 0);
	if (by_socketcall(DO_SEND, client, (long)&out, 1, 0) != 1 || by_socketcall(DO_RECV, peer, (long)&in, 1, 0) != 1)
		return "no byte\n";
	return in == out ? "a byte came through\n" : "another byte\n";
}

void _start(void)
{
	say(round_trip());
	verdict("socketcall: socket AF_VSOCK", by_socketcall(DO_SOCKET, AF_VSOCK, SOCK_STREAM, 0, 0));
	verdict("socket AF_VSOCK", call(SOCKET, AF_VSOCK, SOCK_STREAM, 0));
	verdict("socket AF_INET", call(SOCKET, AF_INET, SOCK_STREAM, 0));
	verdict("unshare CLONE_NEWUSER", call(UNSHARE, 0x10000000, 0, 0));
	verdict("mount", call(MOUNT, 0, 0, 0));
	verdict("keyctl", call(KEYCTL, 999, 0, 0));
	verdict("io_uring_setup", call(IO_URING_SETUP, 0, 0, 0));
	verdict("clone3", call(CLONE3, 0, 0, 0));
	call(EXIT, 0, 0, 0);
}
