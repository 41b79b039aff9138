// SPDX-License-Identifier: MIT
// The same work on the machine's own kernel. Prints "name nanoseconds" lines.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void getpids(long count)
{
	double start = now();

	for (long i = 0; i < count; i++)
		syscall(SYS_getpid);
	printf("getpid %f\n", (now() - start) / count);
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void yields(long count)
{
	pid_t child = fork();

	pin();
	if (!child) {
		for (;;)
			sched_yield();
	}
	double start = now();

	for (long i = 0; i < count; i++)
		sched_yield();
	/* Two switches bring it back. */
	printf("switch %f\n", (now() - start) / count / 2);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void pingpong(long count)
{
	int there[2], back[2];
	char byte = 0;

	if (pipe(there) || pipe(back))
		exit(1);
	pid_t child = fork();

	pin();
	if (!child) {
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				break;
		exit(0);
	}
	double start = now();

	for (long i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			exit(1);
	printf("pipe %f\n", (now() - start) / count);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void tasks(long count)
{
	double start = now();

	for (long i = 0; i < count; i++) {
		pid_t child = vfork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	printf("task %f\n", (now() - start) / count);
}

int main(void)
{
	getpids(1000000);
	yields(100000);
	pingpong(50000);
	tasks(2000);
	return 0;
}
