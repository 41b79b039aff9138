#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Links the kernel's objects into one WebAssembly module. Run by make.
set -eu
suffix=${CC##*clang}
marks=arch/lkl/kernel/sections

# --table-base: tiny RCU takes a callback "address" below 4096 for the offset
# that kfree_rcu() stores in its place, and function pointers are table indices.
# vmlinux.a is a thin archive in link order; init calls run in that order.
"wasm-ld$suffix" -o "$1" \
	--no-entry --no-gc-sections --error-limit=0 ${LKL_LINK_OPT:--O2} \
	--import-memory --shared-memory --max-memory=4294967296 \
	--stack-first -z stack-size=65536 \
	--export=__stack_pointer --export=__heap_base \
	--export=lkl_board \
	--export-table --growable-table --Map=linux.map --table-base=4096 \
	$marks-begin.o \
	--whole-archive vmlinux.a --no-whole-archive \
	init/version-timestamp.o lib/lib.a \
	$marks-end.o
