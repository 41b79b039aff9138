// SPDX-License-Identifier: GPL-2.0
/* The log goes to the host as records, each with its level and its time. */

#include <linux/console.h>
#include <linux/init.h>
#include <asm/host.h>
#include <asm/setup.h>

static void host_console_write(struct console *con, const char *record,
			       unsigned int len)
{
	lkl_console_write(record, len);
}

static struct console host_console = {
	.name	= "host",
	.write	= host_console_write,
	.flags	= CON_PRINTBUFFER | CON_ENABLED | CON_ANYTIME | CON_EXTENDED,
	.index	= -1,
};

void __init lkl_console_init(void)
{
	/* Whoever reads the records can tell what matters; "quiet" still works. */
	console_loglevel = CONSOLE_LOGLEVEL_MOTORMOUTH;
	register_console(&host_console);
}
