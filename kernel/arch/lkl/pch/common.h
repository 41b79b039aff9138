/* SPDX-License-Identifier: GPL-2.0 */
/* Headers that most files read, compiled once: see the arch Makefile. */

/* Said on the command line elsewhere, and different for every file. */
#define KBUILD_MODNAME	"kernel"
#define KBUILD_BASENAME	"kernel"
#define KBUILD_MODFILE	"kernel"

#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* Linker scripts discard it where there are no modules. */
#undef __MODULE_INFO
#define __MODULE_INFO(tag, name, info)	static_assert(1)

#undef KBUILD_MODNAME
#undef KBUILD_BASENAME
#undef KBUILD_MODFILE
