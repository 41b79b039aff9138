// The verb of the web.

import { KERNEL_OPTIONS, PROGRESS_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

const { "--memory MIB": memory } = KERNEL_OPTIONS;

export const FETCH_VERBS: Readonly<Record<string, Verb>> = {
  fetch: {
    usage: "fetch [OPTION...] URL...",
    about: "get or send something by HTTP over a kernel's own TCP",
    text: `HTTP/1.1 and HTTP/2, with and without TLS; the TCP is that of a Linux in this process, whose way
out are this process's sockets. So its congestion control can be chosen, its tcp_info read, its packets
captured, and the link made as bad as one likes. Connections are kept from one URL to the next. What
--timing, --tcp-info and --json tell is on standard error, or on standard output beside -o.`,
    options: {
      "-o, --output FILE": "write the body there (default: standard output)",
      "-X, --request METHOD": "default GET; HEAD with -I, POST with -d, PUT with -T",
      "-H, --header LINE": "'Name: value'; 'Name:' leaves one out; can be repeated",
      "-d, --data TEXT": "send this, or @FILE, or @- for standard input; repeated, with & between",
      "-T, --upload FILE":
        "send this file, or - for standard input, by PUT; behind a / it keeps its name",
      "-u, --user NAME:PASSWORD": "log in (Basic)",
      "-i, --include": "the head of the response, too",
      "-I, --head": "the head only",
      "-L, --location": "follow redirects",
      "--max-redirs N": "at most so many (default 10)",
      "-f, --fail": "a status from 400 on is a failure, and its body is not written",
      "--compressed": "ask for gzip, deflate, br or zstd, and decode it",
      "-r, --range FROM-TO": "these bytes only: 0-99, 100- or -100",
      "-C, --continue": "go on where FILE of -o ends",
      "--http1.1": "HTTP/1.1 and nothing else",
      "--http2": "HTTP/2 and nothing else; without TLS, without asking",
      "-k, --insecure": "trust every certificate",
      "--cacert FILE": "trust the certificates in this file (PEM) instead of the usual",
      "--connect-timeout SECONDS": "for the name, TCP and TLS",
      "--max-time SECONDS": "for each URL as a whole",
      "--resolve HOST:PORT:ADDRESS": "where a host is; can be repeated",
      "--dns ADDRESS": "ask this name server (ADDRESS:PORT if not 53); can be repeated",
      "-4, --ipv4": "by IPv4 only",
      "-6, --ipv6": "by IPv6 only",
      "--congestion NAME": "TCP's congestion control: cubic, bbr, reno…",
      "--rate RATE": "a link of this rate, each way: 10mbit, 500kbit, 1gbit",
      "--delay TIME": "that takes so long, each way: 20ms, 1s",
      "--jitter TIME": "more or less",
      "--loss PERCENT": "and loses frames, each way: 1%",
      "--mtu BYTES": "whose packets have at most so many bytes, from 576 on (default 1500)",
      "--pcap FILE": "capture all packets (pcapng, for Wireshark)",
      "--keylog FILE": "append what Wireshark needs to read a capture's TLS",
      "--timing": "tell how long names, TCP, TLS, the first byte and all took",
      "--tcp-info": "tell what TCP knows of the connection",
      "--json": "tell all that, and of the response, as a JSON object a line",
      "--memory MIB": memory,
      ...PROGRESS_OPTIONS,
    },
    examples: [
      "liblinux fetch -L -o page.html --timing https://example.com/",
      "liblinux fetch --congestion bbr --rate 10mbit --delay 40ms --loss 1% --tcp-info -o x URL",
      "liblinux fetch -T disk.img.zst --pcap upload.pcapng https://example.com/upload/",
    ],
    exits: `those of curl: 0 done, 1 failed otherwise (also: the capture), 2 the command line makes no
sense, 6 no address, 7 no connection, 18 the body broke off, 22 a status from 400 on (--fail), 23 writing
failed, 26 reading what is to be sent failed, 28 too long, 33 no ranges (--continue), 35 TLS, 47 too many
redirects, or one that leads nowhere, 52 no response, 55 or 56 the connection broke, 60 the certificate is
not trusted, 61 the encoding, 130 interrupted.`,
    load: async () => (await import("../fetch.ts")).fetch,
  },
};
