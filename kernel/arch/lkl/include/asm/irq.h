/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_LKL_IRQ_H
#define _ASM_LKL_IRQ_H

#include <asm/host.h>

#define NR_IRQS		32	/* the bits of lkl_board.irq_pending */

void init_IRQ(void);

#include <asm-generic/irq.h>

#endif
