/* SPDX-License-Identifier: MIT */
/* What the kernel's headers expect of a C library's <sys/socket.h>. */
#pragma once
#include <linux/socket.h>

typedef __kernel_sa_family_t sa_family_t;

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};
