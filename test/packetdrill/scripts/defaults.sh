#!/bin/sh
# What the scripts in this folder expect, whatever memory the kernel has.

sysctl -q net.ipv4.tcp_rmem="4096 131072 $((6*1024*1024))" net.ipv4.tcp_wmem="4096 16384 4194304"
sysctl -q net.ipv4.tcp_timestamps=1 net.ipv4.tcp_congestion_control=cubic
tc qdisc replace dev tun0 root pfifo
