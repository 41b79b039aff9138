// SPDX-License-Identifier: GPL-2.0
/*
 * User mode is the host program. A user task asks the host what to do next,
 * and the host answers with a system call, an interrupt, or nothing for now.
 */

#include <linux/binfmts.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/personality.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/sched/task_stack.h>
#include <linux/syscalls.h>
#include <asm/host.h>
#include <asm/syscall.h>
#include <asm/user.h>

static long do_call(struct pt_regs *regs)
{
	if ((unsigned long)regs->nr >= NR_syscalls)
		return -ENOSYS;
	return sys_call_table[regs->nr](regs);
}

/*
 * Returns whether the call in @regs has to be made again. Handlers of signals
 * would be code of the host's: there are none, such signals are dropped.
 */
static bool deliver_signals(struct pt_regs *regs, bool in_call)
{
	struct ksignal ksig;
	bool handler = get_signal(&ksig);

	if (handler)
		signal_setup_done(0, &ksig, 0);
	else
		restore_saved_sigmask();
	if (!in_call)
		return false;

	switch (regs->ret) {
	case -ERESTARTSYS:
		if (regs->abort)
			break;
		if (handler && !(ksig.ka.sa.sa_flags & SA_RESTART))
			break;
		return true;
	case -ERESTARTNOINTR:
		if (regs->abort)
			break;
		return true;
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		if (handler || regs->abort)
			break;
		if (regs->ret == -ERESTART_RESTARTBLOCK)
			regs->nr = __NR_restart_syscall;
		return true;
	default:
		return false;
	}
	regs->ret = -EINTR;
	return false;
}

/* What other architectures do on the way out of the kernel. */
static bool exit_work(struct pt_regs *regs, bool in_call)
{
	unsigned long work;
	bool again = false;

	while ((work = read_thread_flags() & _TIF_WORK_MASK)) {
		if (work & _TIF_NEED_RESCHED)
			schedule();
		if (work & (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL))
			again |= deliver_signals(regs, in_call);
		if (work & _TIF_NOTIFY_RESUME)
			resume_user_mode_work(regs);
	}
	return again;
}

static void make_call(struct pt_regs *regs)
{
	do {
		regs->ret = do_call(regs);
	} while (exit_work(regs, true));
	if (unlikely(regs->abort)) {
		/* It may have come too late for this call: spare the next one. */
		regs->abort = 0;
		clear_notify_signal();
	}
}

long lkl_syscall(long nr, unsigned long a, unsigned long b, unsigned long c,
		 unsigned long d, unsigned long e, unsigned long f)
{
	struct pt_regs *regs = current_pt_regs();

	regs->nr = nr;
	regs->args[0] = a;
	regs->args[1] = b;
	regs->args[2] = c;
	regs->args[3] = d;
	regs->args[4] = e;
	regs->args[5] = f;
	local_irq_disable();
	local_irq_enable();
	make_call(regs);
	return regs->ret;
}

void lkl_user_mode(void)
{
	struct pt_regs *regs = current_pt_regs();
	int flags = 0;

	if (!test_and_set_thread_flag(TIF_USER))
		lkl_user_new(current, task_pid_vnr(current),
			     task_tgid_vnr(current));

	for (;;) {
		long (*run)(unsigned long argument);
		int event;

		if (!single_task_running())
			flags |= LKL_USER_BUSY;
		event = lkl_user_enter(current, regs, flags);
		flags = 0;
		/* Before interrupts: one of them may be our wakeup. */
		if (event == LKL_USER_WAIT)
			set_current_state(TASK_INTERRUPTIBLE);
		local_irq_disable();
		local_irq_enable();
		switch (event) {
		case LKL_USER_CALL:
			make_call(regs);
			flags = LKL_USER_RETURNED;
			continue;
		case LKL_USER_RUN:
			run = (void *)regs->nr;
			regs->ret = run(regs->args[0]);
			flags = LKL_USER_RETURNED;
			break;
		case LKL_USER_WAIT:
			schedule();
			break;
		}
		exit_work(regs, false);
	}
}

static irqreturn_t look_after_tasks(int irq, void *unused)
{
	struct task_struct *task;

	while ((task = lkl_user_next())) {
		if (task_pt_regs(task)->abort)
			set_notify_signal(task);
		else
			wake_up_process(task);
	}
	return IRQ_HANDLED;
}

static int __init init_user_irq(void)
{
	return request_irq(LKL_IRQ_USER, look_after_tasks, IRQF_NO_THREAD,
			   "user", NULL);
}
core_initcall(init_user_irq);

SYSCALL_DEFINE0(rt_sigreturn)
{
	return -ENOSYS;
}

SYSCALL_DEFINE6(mmap2, unsigned long, addr, unsigned long, len,
		unsigned long, prot, unsigned long, flags,
		unsigned long, fd, unsigned long, pgoff)
{
	return ksys_mmap_pgoff(addr, len, prot, flags, fd, pgoff);
}

/*
 * A program that is the host itself. The one such file is /init, so that pid 1
 * comes up the ordinary way, with an address space of its own.
 */
static const char host_program[] = "\177host\n";

static int load_host_program(struct linux_binprm *bprm)
{
	int err;

	if (memcmp(bprm->buf, host_program, sizeof(host_program) - 1))
		return -ENOEXEC;
	err = begin_new_exec(bprm);
	if (err)
		return err;
	set_personality(PER_LINUX);
	setup_new_exec(bprm);
	finalize_exec(bprm);
	return 0;
}

static struct linux_binfmt host_binfmt = {
	.load_binary = load_host_program,
};

static int __init make_init(void)
{
	struct file *file;
	loff_t pos = 0;
	ssize_t len;

	register_binfmt(&host_binfmt);
	file = filp_open("/init", O_CREAT | O_WRONLY, 0755);
	if (IS_ERR(file))
		return PTR_ERR(file);
	len = kernel_write(file, host_program, sizeof(host_program) - 1, &pos);
	/* Now, or it stays open for writing and cannot be executed. */
	__fput_sync(file);
	return len < 0 ? len : 0;
}
late_initcall(make_init);
