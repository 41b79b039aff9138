// SPDX-License-Identifier: MIT
// Programs that end badly, or well, on the stack of a task.
#define EXPORT(name) __attribute__((export_name(#name)))

__attribute__((import_module("kernel"), import_name("syscall")))
long kernel_syscall(long nr, unsigned long a, unsigned long b, unsigned long c,
		    unsigned long d, unsigned long e, unsigned long f);

enum { NR_GETPID = 172, NR_SCHED_YIELD = 124 };

EXPORT(add_one) int add_one(int number)
{
	return number + 1;
}

EXPORT(getpid) int getpid(int unused)
{
	return kernel_syscall(NR_GETPID, 0, 0, 0, 0, 0, 0);
}

EXPORT(yield) int yield(int count)
{
	while (count-- > 0)
		kernel_syscall(NR_SCHED_YIELD, 0, 0, 0, 0, 0, 0);
	return 0;
}

EXPORT(trap) int trap(int unused)
{
	__builtin_trap();
}

EXPORT(outside) int outside(int unused)
{
	return *(volatile int *)0xfffffff0u;
}

/* Keeps its frames on the engine's stack alone, and never comes to the end. */
static volatile int bottom = 0x7fffffff;

EXPORT(deep) int deep(int level)
{
	if (level == bottom)
		return 0;
	return deep(level + 1) ^ bottom;
}

EXPORT(spin) int spin(int count)
{
	volatile int left = count;

	while (left > 0)
		left--;
	return left;
}
