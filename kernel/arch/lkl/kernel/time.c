// SPDX-License-Identifier: GPL-2.0
/* The host's clock, and one one-shot timer. */

#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/sched/clock.h>
#include <linux/time.h>
#include <asm/host.h>

/* How often interrupts are enabled between two looks at the host while busy. */
#define POLL_INTERVAL 2000

int lkl_poll_countdown = POLL_INTERVAL;

unsigned long long notrace sched_clock(void)
{
	return lkl_clock_ns();
}

cycles_t get_cycles(void)
{
	return (u64)lkl_clock_ns();
}

/*
 * The host raises interrupts from its event loop, which does not turn while
 * the kernel is busy. So the kernel looks for itself now and then, and gives
 * the event loop its turn: the CPU stops for that long, even in an interrupt
 * handler, and notices nothing.
 */
void lkl_poll_host(bool spinning)
{
	lkl_poll_countdown = POLL_INTERVAL;
	if (lkl_cpu_poll(spinning))
		lkl_cpu_yield();
}

static u64 read_clock(struct clocksource *cs)
{
	return lkl_clock_ns();
}

/* Counts nanoseconds; the shift leaves room for adjusting its rate. */
static struct clocksource host_clock = {
	.name	= "host",
	.rating	= 499,
	.read	= read_clock,
	.mask	= CLOCKSOURCE_MASK(64),
	.mult	= 1 << 24,
	.shift	= 24,
	.flags	= CLOCK_SOURCE_IS_CONTINUOUS,
};

/* From the start, or what jiffies do not count while booting would be lost. */
struct clocksource * __init clocksource_default_clock(void)
{
	return &host_clock;
}

/* The host reads the deadline whenever the kernel pauses: nothing to call. */
static int host_timer_stop(struct clock_event_device *evt)
{
	lkl_board.timer_deadline_ns = __builtin_inf();
	return 0;
}

static int host_timer_set(unsigned long ns, struct clock_event_device *evt)
{
	lkl_board.timer_deadline_ns = lkl_clock_ns() + ns;
	return 0;
}

static struct clock_event_device host_timer = {
	.name			= "host",
	.features		= CLOCK_EVT_FEAT_ONESHOT,
	.rating			= 499,
	.set_state_shutdown	= host_timer_stop,
	.set_state_oneshot_stopped = host_timer_stop,
	.set_next_event		= host_timer_set,
};

static irqreturn_t timer_interrupt(int irq, void *unused)
{
	host_timer.event_handler(&host_timer);
	return IRQ_HANDLED;
}

void read_persistent_clock64(struct timespec64 *ts)
{
	*ts = ns_to_timespec64((u64)lkl_clock_wall_ns());
}

void __init time_init(void)
{
	if (request_irq(LKL_IRQ_TIMER, timer_interrupt,
			IRQF_TIMER | IRQF_NOBALANCING, "timer", NULL))
		panic("no timer interrupt");
	__clocksource_register(&host_clock);
	host_timer.cpumask = cpumask_of(0);
	clockevents_config_and_register(&host_timer, NSEC_PER_SEC, 1000,
					ULONG_MAX);
}

/* Nobody waits by counting loops here, so do not measure any. */
unsigned long calibrate_delay_is_known(void)
{
	return 1000000 / HZ;
}
