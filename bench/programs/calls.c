// SPDX-License-Identifier: MIT
// A program on a task's own stack: system calls without JavaScript in between.

__attribute__((import_module("linux"), import_name("syscall")))
long syscall(long nr, long a, long b, long c, long d, long e, long f);

#define EXPORT(name) __attribute__((export_name(#name)))

enum { SYS_READ = 63, SYS_WRITE = 64, SYS_SCHED_YIELD = 124, SYS_GETPID = 172 };

static long reader, writer, byte;

EXPORT(set) void set(long read_fd, long write_fd, long address)
{
	reader = read_fd;
	writer = write_fd;
	byte = address;
}

EXPORT(getpids) long getpids(long count)
{
	long pid = 0;

	while (count--)
		pid = syscall(SYS_GETPID, 0, 0, 0, 0, 0, 0);
	return pid;
}

EXPORT(yields) long yields(long count)
{
	while (count--)
		syscall(SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0);
	return 0;
}

static long one(long nr, long fd)
{
	return syscall(nr, fd, byte, 1, 0, 0, 0);
}

EXPORT(serve) long serve(long count)
{
	while (count--)
		if (one(SYS_WRITE, writer) != 1 || one(SYS_READ, reader) != 1)
			return -1;
	return 0;
}

EXPORT(echo) long echo(long count)
{
	while (count--)
		if (one(SYS_READ, reader) != 1 || one(SYS_WRITE, writer) != 1)
			return -1;
	return 0;
}
