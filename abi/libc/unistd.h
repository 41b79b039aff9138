/* SPDX-License-Identifier: MIT */
/* <linux/shm.h> includes it for getpagesize(). */
#pragma once
