// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks. Each runs in a call of lkl_thread() on an engine stack of its own; to
 * switch is to suspend one such call and let another go on. Only the shadow
 * stack, in linear memory, is ours to keep track of.
 */

#include <linux/cpu.h>
#include <linux/ptrace.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <asm/host.h>
#include <asm/switch_to.h>
#include <asm/user.h>

struct task_struct *lkl_current = &init_task;

/* Who called __switch_to() last; the one switched to must clean up after it. */
static struct task_struct *switched_from;

struct task_struct *__switch_to(struct task_struct *prev,
				struct task_struct *next)
{
	switched_from = prev;
	prev->thread.sp = lkl_get_stack_pointer();
	lkl_current = next;
	lkl_thread_switch(prev, next, READ_ONCE(prev->__state) == TASK_DEAD);
	lkl_set_stack_pointer(prev->thread.sp);
	return switched_from;
}

static noinline void thread_main(void)
{
	schedule_tail(switched_from);
	if (current->thread.fn)
		current->thread.fn(current->thread.arg);
	/* A user task from the start, or a kernel thread that called execve(). */
	lkl_user_mode();
}

/* Has no frame: whatever the stack pointer is now belongs to someone else. */
void lkl_thread(struct task_struct *task)
{
	lkl_set_stack_pointer(task->thread.sp);
	thread_main();
}

int copy_thread(struct task_struct *p, const struct kernel_clone_args *args)
{
	struct pt_regs *regs = task_pt_regs(p);

	clear_tsk_thread_flag(p, TIF_USER);
	/* As the compiler assumes the stack pointer to be on entry. */
	p->thread.sp = ALIGN_DOWN((unsigned long)regs, 16);
	p->thread.fn = args->fn;
	p->thread.arg = args->fn_arg;
	memset(regs, 0, sizeof(*regs));
	if (!args->fn)
		current_pt_regs()->child = (unsigned long)p;
	return 0;
}

void exit_thread(struct task_struct *task)
{
	if (test_tsk_thread_flag(task, TIF_USER))
		lkl_user_exit(task, task->exit_code);
}

void flush_thread(void)
{
}

void arch_cpu_idle(void)
{
	if (!READ_ONCE(lkl_board.irq_pending))
		lkl_cpu_idle();
	raw_local_irq_enable();
	raw_local_irq_disable();
}

unsigned long __get_wchan(struct task_struct *p)
{
	return 0;
}

void show_regs(struct pt_regs *regs)
{
}

/*
 * The engine knows who called whom, and the names; the kernel does not. Of
 * tasks that are suspended nobody can tell.
 */
void show_stack(struct task_struct *task, unsigned long *sp, const char *loglvl)
{
	static char text[2048];
	char *line, *rest = text;

	if (task && task != current)
		return;
	text[lkl_cpu_backtrace(text, sizeof(text) - 1)] = '\0';
	printk("%sCall Trace:\n", loglvl);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			printk("%s %s\n", loglvl, line);
}

void ptrace_disable(struct task_struct *child)
{
}

long arch_ptrace(struct task_struct *child, long request,
		 unsigned long addr, unsigned long data)
{
	return ptrace_request(child, request, addr, data);
}

void user_disable_single_step(struct task_struct *child)
{
}

void machine_halt(void)
{
	lkl_stop(LKL_STOP_HALT);
}

void machine_power_off(void)
{
	lkl_stop(LKL_STOP_HALT);
}

/* Or reboot() thinks that there is no way to do it. */
void (*pm_power_off)(void) = machine_power_off;

void machine_restart(char *cmd)
{
	lkl_stop(LKL_STOP_RESTART);
}
