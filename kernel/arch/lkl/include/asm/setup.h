/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_LKL_SETUP_H
#define _ASM_LKL_SETUP_H

#include <asm/host.h>

#define COMMAND_LINE_SIZE LKL_COMMAND_LINE_SIZE

void lkl_console_init(void);
void paging_init(void);

#endif
