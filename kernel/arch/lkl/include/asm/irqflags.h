/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupts are bits in a word that the host sets. They are taken where the
 * kernel enables interrupts, when idle, and when a task is in user mode:
 * wasm code cannot be interrupted anywhere else.
 */
#ifndef _ASM_LKL_IRQFLAGS_H
#define _ASM_LKL_IRQFLAGS_H

#include <linux/compiler.h>
#include <asm/host.h>

#define ARCH_IRQ_DISABLED	0
#define ARCH_IRQ_ENABLED	1

extern unsigned long lkl_irq_enabled;
extern int lkl_poll_countdown;

void lkl_run_irqs(void);
void lkl_poll_host(bool spinning);

static inline unsigned long arch_local_save_flags(void)
{
	return READ_ONCE(lkl_irq_enabled);
}

static inline void arch_local_irq_restore(unsigned long flags)
{
	if (flags == ARCH_IRQ_ENABLED) {
		/* A kernel that never idles still has to see its timer run out. */
		if (unlikely(--lkl_poll_countdown < 0))
			lkl_poll_host(false);
		if (unlikely(READ_ONCE(lkl_board.irq_pending)))
			lkl_run_irqs();
	}
	barrier();
	WRITE_ONCE(lkl_irq_enabled, flags);
}

#include <asm-generic/irqflags.h>

#endif
