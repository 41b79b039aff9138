// SPDX-License-Identifier: GPL-2.0
/*
 * The guard of the shadow stack. Below it is other memory, and no page fault
 * tells: the compiler calls here on entry of every function with a frame worth
 * mentioning (see the arch Makefile), when the frame is already allocated but
 * not yet written.
 */

#include <linux/compiler.h>
#include <linux/panic.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <asm/host.h>

/* Room for what is not checked: small frames, and an interrupt's first steps. */
#define STACK_MARGIN	1024

/* Telling about it takes a stack, too. */
static char emergency_stack[THREAD_SIZE] __aligned(16);
static bool overflowed;

static noinline void __noreturn report_overflow(void)
{
	panic("kernel stack overflow in %s[%d]", current->comm,
	      task_pid_nr(current));
}

/* Has no frame, or it would restore the stack pointer. */
static noinline void leave_stack(void)
{
	if (overflowed)
		return;
	overflowed = true;
	lkl_set_stack_pointer((unsigned long)emergency_stack + THREAD_SIZE);
	report_overflow();
}

void __sanitizer_cov_stack_depth(void);
void __sanitizer_cov_stack_depth(void)
{
	unsigned long sp = (unsigned long)__builtin_frame_address(0);

	if (unlikely(sp < (unsigned long)task_stack_page(current) + STACK_MARGIN))
		leave_stack();
}
