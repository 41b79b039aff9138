// SPDX-License-Identifier: MIT
// TCP over the machine's own loopback, between two processes. Prints "name value" lines.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL (1 << 20)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(int ok)
{
	if (!ok) {
		perror("net");
		exit(1);
	}
}

/* The other end: takes everything, then sends back each byte that comes. */
static void serve(int listener, long bytes)
{
	char *buffer = malloc(CALL);
	int fd = accept(listener, NULL, NULL), one = 1;
	long n;

	check(fd >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (long done = 0; done < bytes; done += n)
		check((n = read(fd, buffer, CALL)) > 0);
	check(write(fd, buffer, 1) == 1);
	while (read(fd, buffer, 1) == 1)
		check(write(fd, buffer, 1) == 1);
	exit(0);
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	long bytes = 2L << 30, trips = 20000;
	char *buffer = calloc(1, CALL);
	double start;
	pid_t child;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(!bind(listener, (void *)&address, length) && !listen(listener, 1));
	check(!getsockname(listener, (void *)&address, &length));
	child = fork();
	if (child == 0)
		serve(listener, bytes);
	check(!connect(fd, (void *)&address, length));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	start = now();
	for (long done = 0, n; done < bytes; done += n)
		check((n = write(fd, buffer, CALL)) > 0);
	check(read(fd, buffer, 1) == 1);
	printf("bulk %f\n", bytes / 1e6 / (now() - start));
	start = now();
	for (long i = 0; i < trips; i++)
		check(write(fd, buffer, 1) == 1 && read(fd, buffer, 1) == 1);
	printf("trip %f\n", (now() - start) * 1e6 / trips);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
