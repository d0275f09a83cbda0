#include "posix.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static void named(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), taken;
	char text[8] = { 0 };

	strcpy(address.sun_path, path);
	T(bind(server, (struct sockaddr *)&address, sizeof address));
	show(path);
	T(listen(server, 1));
	T(connect(client, (struct sockaddr *)&address, sizeof address));
	taken = accept(server, NULL, NULL);
	T(write(client, "hello", 5));
	T(read(taken, text, sizeof text));
	printf("%s\n", text);
	T(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
	T(opens(path, O_RDWR, 0));
	close(server);
	T(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
	T(unlink(path));
}

void sockets(void)
{
	char text[8] = { 0 };
	pid_t child;
	int fd;

	named("sock");
	DO(mkfifo("pipe", 0644));
	fflush(stdout);
	child = fork();
	need("fork", child);
	if (child < 0)
		return;
	if (child == 0) {
		fd = open("pipe", O_WRONLY);
		write(fd, "through", 7);
		_exit(0);
	}
	fd = open("pipe", O_RDONLY);
	T(read(fd, text, 7));
	printf("%s\n", text);
	wait(NULL);
	close(fd);
	T(opens("pipe", O_WRONLY | O_NONBLOCK, 0));
	T(opens("pipe", O_RDONLY | O_NONBLOCK, 0));
}
