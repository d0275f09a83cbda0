#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "appc.h"

/* What the specification's validator gives a request, ms; an emulated processor beside other work gets ten times as much. */
#define LIMIT_MS 1000

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* To AC_METADATA_URL: http://IP[:PORT]/TOKEN. */
static int connected(char host[64], char token[128])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char port[8] = "80";
	const char *url = getenv("AC_METADATA_URL") ?: "";
	if (sscanf(url, "http://%63[0-9.]:%7[0-9]/%127s", host, port, token) != 3 && sscanf(url, "http://%63[0-9.]/%127s", host, token) != 2) {
		fail("AC_METADATA_URL is %s", url);
		return -1;
	}
	address.sin_port = htons(atoi(port));
	inet_pton(AF_INET, host, &address.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) return fd;
	fail("%s: %s", url, strerror(errno));
	close(fd);
	return -1;
}

/* The whole answer to one request, its head too; "" after a failure. */
static char *answer(const char *method, const char *path, const char *form)
{
	static char text[1 << 18];
	char token[128] = "", host[64] = "", head[1024];
	size_t length = 0;
	long start = now_ms();
	int fd = connected(host, token);
	text[0] = 0;
	if (fd < 0) return text;
	dprintf(fd, "%s /%s/acMetadata/v1%s HTTP/1.1\r\nHost: %s\r\nMetadata-Flavor: AppContainer\r\nConnection: close\r\n", method, token, path, host);
	if (form != NULL) snprintf(head, sizeof(head), "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s", strlen(form), form);
	dprintf(fd, "%s", form == NULL ? "\r\n" : head);
	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		long left = start + LIMIT_MS - now_ms();
		if (left <= 0 || poll(&ready, 1, (int)left) != 1) {
			fail("%s %s: no answer within %d ms", method, path, LIMIT_MS);
			break;
		}
		ssize_t n = read(fd, text + length, sizeof(text) - 1 - length);
		if (n <= 0) break;
		length += (size_t)n;
	}
	text[length] = 0;
	close(fd);
	return text;
}

/* The body of an answer with this status and, exactly, this type. */
static const char *body(const char *method, const char *path, const char *form, int status, const char *type)
{
	char *text = answer(method, path, form), *end = strstr(text, "\r\n\r\n"), wanted[128];
	int got = 0;
	sscanf(text, "HTTP/1.1 %d", &got);
	if (got != status) fail("%s %s: status %d", method, path, got);
	snprintf(wanted, sizeof(wanted), "\r\nContent-Type: %s\r\n", type);
	if (end == NULL || (status == 200 && strstr(text, wanted) == NULL)) fail("%s %s: not of type %s", method, path, type);
	return end == NULL ? "" : end + 4;
}

/* ask METHOD PATH FORM: prints status and body. "" is no form. */
void ask(const char *method, const char *path, const char *form)
{
	char *text = answer(method, path, form[0] == 0 ? NULL : form), *end = strstr(text, "\r\n\r\n");
	int status = 0;
	sscanf(text, "HTTP/1.1 %d", &status);
	printf("%s %s: %d %s\n", method, path, status, end == NULL ? "" : end + 4);
}

#define ASCII "text/plain; charset=us-ascii"
#define JSON "application/json"

/* "App Container Metadata Service", as the specification's validator asks it. */
void check_metadata(const char *app)
{
	char path[128], uuid[64], form[512], signature[128];
	if (strstr(body("GET", "/pod/manifest", NULL, 200, JSON), "\"PodManifest\"") == NULL) fail("/pod/manifest is no pod manifest");
	body("GET", "/pod/annotations", NULL, 200, JSON);
	snprintf(uuid, sizeof(uuid), "%s", body("GET", "/pod/uuid", NULL, 200, ASCII));
	if (strlen(uuid) != 36) fail("/pod/uuid is %s", uuid);
	snprintf(path, sizeof(path), "/apps/%s/image/manifest", app);
	if (strstr(body("GET", path, NULL, 200, JSON), "\"ImageManifest\"") == NULL) fail("%s is no image manifest", path);
	snprintf(path, sizeof(path), "/apps/%s/image/id", app);
	if (strncmp(body("GET", path, NULL, 200, ASCII), "sha512-", 7) != 0) fail("%s is no image ID", path);
	snprintf(path, sizeof(path), "/apps/%s/annotations", app);
	body("GET", path, NULL, 200, JSON);
	snprintf(signature, sizeof(signature), "%s", body("POST", "/pod/hmac/sign", "content=Old+MacDonald+Had+A+Farm", 200, ASCII));
	if (strlen(signature) != 88) fail("the signature is %s", signature);
	/* Of base64 only + needs to be escaped here, / and = may be. */
	size_t length = snprintf(form, sizeof(form), "uuid=%s&content=Old%%20MacDonald%%20Had%%20A%%20Farm&signature=", uuid);
	for (const char *c = signature; *c != 0; c++) length += snprintf(form + length, sizeof(form) - length, "%%%02X", *c);
	body("POST", "/pod/hmac/verify", form, 200, ASCII);
	form[5] = form[5] == '0' ? '1' : '0';
	body("POST", "/pod/hmac/verify", form, 403, ASCII);
}
