// SPDX-License-Identifier: GPL-2.0

#include <linux/delay.h>
#include <linux/export.h>
#include <asm/host.h>

void __delay(unsigned long loops)
{
	lkl_clock_delay(loops);
}

void __udelay(unsigned long usecs)
{
	lkl_clock_delay(usecs * 1e3);
}

void __ndelay(unsigned long nsecs)
{
	lkl_clock_delay(nsecs);
}

/* @xloops: microseconds in units of 2^-32 seconds, as udelay() computes them */
void __const_udelay(unsigned long xloops)
{
	lkl_clock_delay(xloops * (1e9 / 4294967296.0));
}
