// SPDX-License-Identifier: GPL-2.0

#include <linux/console.h>
#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/panic_notifier.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/start_kernel.h>
#include <asm/host.h>
#include <asm/sections.h>
#include <asm/setup.h>

/* Two names of one thing; the linker script makes them so elsewhere. */
union thread_union init_thread_union __aligned(THREAD_SIZE);
extern unsigned long init_stack[THREAD_SIZE / sizeof(unsigned long)]
	__alias(init_thread_union);

unsigned long lkl_memory_end;

struct lkl_board lkl_board = {
	.timer_deadline_ns = __builtin_inf(),
};

/* The last of the panic notifiers, so that the others have had their say. */
static int stop_on_panic(struct notifier_block *nb, unsigned long event,
			 void *reason)
{
	lkl_panic(reason, strlen(reason));
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = {
	.notifier_call	= stop_on_panic,
	.priority	= INT_MIN,
};

/* wasm-ld: the first byte after everything static */
extern char __heap_base[];

void __init setup_arch(char **cmdline_p)
{
	unsigned long start = PAGE_ALIGN((unsigned long)__heap_base);
	unsigned long end = __builtin_wasm_memory_size(0) << 16;

	lkl_memory_end = end;
	lkl_console_init();
	setup_initial_init_mm(_stext, _etext, _edata, __heap_base);
	strscpy(boot_command_line, lkl_board.command_line, COMMAND_LINE_SIZE);
	*cmdline_p = lkl_board.command_line;
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);

	memblock_add(start, end - start);
	min_low_pfn = PFN_UP(start);
	max_low_pfn = PFN_DOWN(end);
	max_pfn = max_low_pfn;
	high_memory = __va(end);
	paging_init();
}

static int show_cpuinfo(struct seq_file *m, void *v)
{
	seq_puts(m, "processor\t: 0\nmodel name\t: wasm32\n\n");
	return 0;
}

static void *cpuinfo_start(struct seq_file *m, loff_t *pos)
{
	return *pos ? NULL : (void *)1;
}

static void *cpuinfo_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return NULL;
}

static void cpuinfo_stop(struct seq_file *m, void *v)
{
}

const struct seq_operations cpuinfo_op = {
	.start	= cpuinfo_start,
	.next	= cpuinfo_next,
	.stop	= cpuinfo_stop,
	.show	= show_cpuinfo,
};

/* Has no frame, like lkl_thread(). */
void lkl_boot(void)
{
	lkl_set_stack_pointer((unsigned long)init_stack + THREAD_SIZE);
	start_kernel();
}
