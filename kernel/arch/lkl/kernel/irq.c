// SPDX-License-Identifier: GPL-2.0
/* Interrupts: bits that the host sets in lkl_board.irq_pending. */

#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/seq_file.h>
#include <asm/host.h>
#include <asm/irq_regs.h>

unsigned long lkl_irq_enabled;

void lkl_run_irqs(void)
{
	static struct pt_regs no_regs;
	struct pt_regs *old_regs;
	unsigned long pending;
	int irq;

	WRITE_ONCE(lkl_irq_enabled, ARCH_IRQ_DISABLED);
	while ((pending = xchg(&lkl_board.irq_pending, 0))) {
		old_regs = set_irq_regs(&no_regs);
		irq_enter();
		for_each_set_bit(irq, &pending, NR_IRQS)
			generic_handle_irq(irq);
		irq_exit();
		set_irq_regs(old_regs);
	}
}

void lkl_relax(void)
{
	lkl_poll_host(true);
	if (READ_ONCE(lkl_board.irq_pending) &&
	    READ_ONCE(lkl_irq_enabled) == ARCH_IRQ_ENABLED) {
		lkl_run_irqs();
		WRITE_ONCE(lkl_irq_enabled, ARCH_IRQ_ENABLED);
	}
	barrier();
}

void __init init_IRQ(void)
{
	int irq;

	for (irq = 0; irq < NR_IRQS; irq++)
		irq_set_chip_and_handler(irq, &dummy_irq_chip,
					 handle_simple_irq);
}

int arch_show_interrupts(struct seq_file *p, int prec)
{
	return 0;
}
