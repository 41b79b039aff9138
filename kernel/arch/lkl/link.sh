#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Links the kernel's objects into one WebAssembly module. Run by make.
set -eu
here=${0%/*}
suffix=${CC##*clang}
marks=arch/lkl/kernel/sections

# --table-base: tiny RCU takes a callback "address" below 4096 for the offset
# that kfree_rcu() stores in its place, and function pointers are table indices.
# --wrap: see mm/vmap.c, mm/ntfs3.c and mm/xfs_buffer.c.
# vmlinux.a is a thin archive in link order; init calls run in that order.
"wasm-ld$suffix" -o "$1" \
	--no-entry --no-gc-sections --error-limit=0 ${LKL_LINK_OPT:--O2} \
	--import-memory --shared-memory --max-memory=4294967296 \
	--stack-first -z stack-size=65536 \
	--export=lkl_board \
	--wrap=vmap --wrap=vunmap --wrap=vm_map_ram --wrap=vm_unmap_ram \
	--wrap=ntfs_bio_pages --wrap=xfs_buf_zero \
	--export-table --growable-table --Map=linux.map --table-base=4096 \
	$marks-begin.o \
	--whole-archive vmlinux.a --no-whole-archive \
	init/version-timestamp.o lib/lib.a \
	$marks-end.o

# A section that sections.h does not name has no marks, so its readers would
# find nothing and nobody would notice.
unknown=$(awk '
	FNR == NR {
		if (match($0, /^(MARK_START|MARK_END|PLAIN)\([^,)]*/)) {
			sub(/^[A-Z_]*\(/, "", $0)
			sub(/[,)].*/, "", $0)
			known[$0] = 1
		}
		next
	}
	$4 == "DATA" { data = 1; next }
	$4 == "CUSTOM" { data = 0 }
	data && /^ *[0-9a-f]+ +[0-9a-f]+ +[0-9a-f]+ [^ ]/ && !($4 in known) {
		print $4
	}' "$here/kernel/sections.h" linux.map)
if [ -n "$unknown" ]; then
	echo "$1: sections that arch/lkl/kernel/sections.h does not name:" $unknown >&2
	rm -f "$1"
	exit 1
fi
