/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_ASM_LKL_PTRACE_H
#define _UAPI_ASM_LKL_PTRACE_H

#ifndef __ASSEMBLY__

/*
 * One system call. The host writes @nr, @args and @abort, the kernel @ret and
 * @child. 64-bit arguments take two words, low word first, without padding.
 */
struct pt_regs {
	long nr;
	unsigned long args[6];
	long ret;
	/* Not 0: an interruptible sleep ends with EINTR, never to be restarted. */
	unsigned long abort;
	/* The task that the last clone() made. */
	unsigned long child;
};

#endif
#endif
