/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The host contract: every function and every word of memory that crosses
 * between the kernel and the program that holds it. The host's side is
 * generated from this file.
 *
 * An import is a function of module "host"; an export is called by the host.
 * A comment that begins with "Suspends" marks an import that must be a
 * WebAssembly.Suspending function; all others return before anything else
 * happens. Exports marked "On a stack of its own" are called through
 * WebAssembly.promising. Pointers are offsets into linear memory, valid until
 * the call returns unless stated otherwise. No import may throw, but for those
 * that never return.
 *
 * Times are nanoseconds in a double, exact up to 2^53 (104 days).
 */
#ifndef _UAPI_ASM_LKL_HOST_H
#define _UAPI_ASM_LKL_HOST_H

#include <linux/types.h>
#include <asm/ptrace.h>

struct task_struct;

#define LKL_IMPORT(name) \
	__attribute__((import_module("host"), import_name(#name)))
#define LKL_EXPORT(name) \
	__attribute__((used, visibility("default"), export_name(#name)))

/* Interrupt lines, as bits of lkl_board.irq_pending. */
enum lkl_irq {
	LKL_IRQ_TIMER,		/* lkl_board.timer_deadline_ns has come */
	LKL_IRQ_USER,		/* lkl_user_next() has something */
	LKL_IRQ_VIRTIO,		/* lkl_virtio_next() has something */
};

#define LKL_COMMAND_LINE_SIZE	2048

/* Memory that both sides look at while the other runs. */
struct lkl_board {
	/* Lines that the host raised; the kernel takes them atomically. */
	__u32	irq_pending;
	__u32	reserved;
	/* When the kernel wants LKL_IRQ_TIMER, on lkl_clock_ns(); or infinity. */
	double	timer_deadline_ns;
	/* NUL-terminated; the host writes it before lkl_boot(). */
	char	command_line[LKL_COMMAND_LINE_SIZE];
};

/* --- Life ---------------------------------------------------------------- */

/* On a stack of its own: start the kernel. Never returns. */
LKL_EXPORT(boot) void lkl_boot(void);

enum lkl_stop {
	LKL_STOP_HALT,
	LKL_STOP_RESTART,
};

/* The machine stopped as it was told to (enum lkl_stop). Never returns. */
LKL_IMPORT(stop) void lkl_stop(int how);

/* The kernel gave up: @reason is @len bytes of text. Never returns. */
LKL_IMPORT(panic) void lkl_panic(const char *reason, unsigned long len);

/* --- Threads: one engine stack per task ---------------------------------- */

/* On a stack of its own: the body of @task, which never ran before. */
LKL_EXPORT(thread) void lkl_thread(struct task_struct *task);

/*
 * Suspends. Park the calling task @prev and continue @next: where it last
 * called this, or in a new call of lkl_thread() if it never ran. When @dead,
 * @prev never continues and its stack is to be freed.
 */
LKL_IMPORT(thread_switch)
void lkl_thread_switch(struct task_struct *prev, struct task_struct *next,
		       int dead);

/* --- The CPU ------------------------------------------------------------- */

/* Suspends. Return when an interrupt is pending. */
LKL_IMPORT(cpu_idle) void lkl_cpu_idle(void);

/* Suspends. Return when the host's event loop has turned once. */
LKL_IMPORT(cpu_yield) void lkl_cpu_yield(void);

/*
 * A busy kernel asks now and then: raise LKL_IRQ_TIMER if it is due, and
 * return whether lkl_cpu_yield() should be called. @spinning: the kernel waits
 * for time to pass, so a virtual clock has to move on.
 */
LKL_IMPORT(cpu_poll) int lkl_cpu_poll(int spinning);

/*
 * Write the names of the functions that led here, innermost first, a line
 * each, to @buf of @size bytes; return the length. Meant for people.
 */
LKL_IMPORT(cpu_backtrace)
unsigned long lkl_cpu_backtrace(char *buf, unsigned long size);

/* --- Clock, randomness, console ------------------------------------------ */

/* Monotonic time since the machine was switched on. */
LKL_IMPORT(clock_ns) double lkl_clock_ns(void);

/* Time since 1970 (UTC). */
LKL_IMPORT(clock_wall_ns) double lkl_clock_wall_ns(void);

/* Return when @ns nanoseconds have passed, without suspending. */
LKL_IMPORT(clock_delay) void lkl_clock_delay(double ns);

/* Fill @buf with @len bytes that nobody can guess (or repeat, if seeded). */
LKL_IMPORT(random) void lkl_random(void *buf, unsigned long len);

/* One record of the log: @len bytes in the format of /dev/kmsg. */
LKL_IMPORT(console_write)
void lkl_console_write(const char *record, unsigned long len);

/* --- User mode: the host makes the system calls -------------------------- */

/* What lkl_user_enter() is told. */
#define LKL_USER_RETURNED	1	/* @regs holds the result of a call */
#define LKL_USER_BUSY		2	/* other tasks want the CPU */

/* What lkl_user_enter() answers. */
enum lkl_user_event {
	LKL_USER_CALL,		/* @regs holds a system call */
	LKL_USER_RUN,		/* @regs.nr is a table index, args[0] its argument */
	LKL_USER_INTERRUPT,	/* an interrupt is pending */
	LKL_USER_WAIT,		/* nothing to do: sleep until woken */
};

/*
 * Suspends. Task @task is in user mode until this returns an enum
 * lkl_user_event. The host may write @regs, which stays in place as long as
 * the task lives, whenever the task has no call in the kernel.
 */
LKL_IMPORT(user_enter)
int lkl_user_enter(struct task_struct *task, struct pt_regs *regs,
		   int flags);

/*
 * The next task to look after, or NULL: one that sleeps in LKL_USER_WAIT and
 * has a call waiting, or one whose call is to be given up (pt_regs.abort).
 */
LKL_IMPORT(user_next) struct task_struct *lkl_user_next(void);

/*
 * @task is about to enter user mode for the first time / will never do so
 * again. @pid and @tgid as it sees them itself; @code as waitid() has it.
 */
LKL_IMPORT(user_new)
void lkl_user_new(struct task_struct *task, int pid, int tgid);
LKL_IMPORT(user_exit)
void lkl_user_exit(struct task_struct *task, int code);

/*
 * A system call of a WebAssembly program that runs, by LKL_USER_RUN, on the
 * stack of the current task; returns what the call returns, and may suspend.
 */
LKL_EXPORT(syscall)
long lkl_syscall(long nr, unsigned long a, unsigned long b, unsigned long c,
		 unsigned long d, unsigned long e, unsigned long f);

/* --- Virtio transport ---------------------------------------------------- */

#define LKL_VIRTIO_DEVICES	256	/* indices are below this */

/* What lkl_virtio_next() returns: an index shifted by 2, and one of these. */
enum lkl_virtio_event {
	LKL_VIRTIO_USED,	/* buffers were used */
	LKL_VIRTIO_CONFIG,	/* the configuration space changed */
	LKL_VIRTIO_PLUG,	/* the device appeared or went away */
};

/* The next event of any device, or -1. */
LKL_IMPORT(virtio_next) int lkl_virtio_next(void);

/* Virtio device type of device @dev, or 0 if there is none. */
LKL_IMPORT(virtio_id) int lkl_virtio_id(int dev);

/* The driver let go of @dev: the host may forget it. */
LKL_IMPORT(virtio_gone) void lkl_virtio_gone(int dev);

/* Bits 32 * @word and up of the features that the device offers. */
LKL_IMPORT(virtio_features) unsigned int lkl_virtio_features(int dev, int word);

/* The features that the driver wants. */
LKL_IMPORT(virtio_accept)
void lkl_virtio_accept(int dev, unsigned int low, unsigned int high);

/* Copy @len bytes at @offset of the configuration space to or from @buf. */
LKL_IMPORT(virtio_config_read)
void lkl_virtio_config_read(int dev, unsigned int offset, void *buf,
			    unsigned int len);
LKL_IMPORT(virtio_config_write)
void lkl_virtio_config_write(int dev, unsigned int offset, const void *buf,
			     unsigned int len);

/* Device status; writing 0 resets: no queue is touched from then on. */
LKL_IMPORT(virtio_status_get) int lkl_virtio_status_get(int dev);
LKL_IMPORT(virtio_status_set) void lkl_virtio_status_set(int dev, int status);

/* Greatest size of queue @queue of @dev, or 0 if there is no such queue. */
LKL_IMPORT(virtio_queue_max) unsigned int lkl_virtio_queue_max(int dev, int queue);

/* The parts of a split virtqueue of @size; they stay there until a reset. */
LKL_IMPORT(virtio_queue)
void lkl_virtio_queue(int dev, int queue, unsigned int size, void *desc,
		      void *avail, void *used);

/* There are new buffers in queue @queue. */
LKL_IMPORT(virtio_notify) void lkl_virtio_notify(int dev, int queue);

#endif
