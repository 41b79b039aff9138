// Verbs about the network.

import { KERNEL_OPTIONS } from "./verb.ts";
import type { Verb } from "./verb.ts";

const { "--memory MIB": memory } = KERNEL_OPTIONS;

export const NET_VERBS: Readonly<Record<string, Verb>> = {
  net: {
    usage: "net [OPTION...] [SCRIPT | COMMAND...]",
    about: "a kernel with a network, and commands in it that read like iproute2's",
    text: `Boots a kernel with an interface eth0, and runs commands there: those of a script, one a line
as \`ip -batch\` takes them (- is standard input), of -c with semicolons between them, or one as it
stands; on a terminal it asks for them. All of it is gone when it ends.

Commands are ip (link, addr, route, rule, neigh, nexthop, netns, monitor; "ip" can be left out), tc, ss,
bridge, nft, ethtool, sysctl, wg, conntrack, dhcp, nameserver, ping, resolve, sleep, echo, with the words
and abbreviations of the programs of these names; \`liblinux net help\` tells more. A script that cannot
be understood is refused before anything is done. The first command that fails ends it.`,
    options: {
      "-c, --command TEXT": "commands, with semicolons between them; can be repeated",
      "--force": "go on after a command that failed",
      "--dry-run": "only tell whether the commands can be understood",
      "-j, --json": "print JSON, as ip -j does: each command that shows something a line",
      "-d, --dhcp": "get an address for eth0 first",
      "--no-nat": "without a way out: no eth0, unless another option has one",
      "--nat": "with a way out also beside other options (default without them)",
      "--tap NAME": "eth0 is at the other end of a TAP device of this machine (Linux, root)",
      "--udp PLACE":
        "eth0 is at the other end of UDP datagrams, as QEMU has it: [LOCAL=]REMOTE, each [HOST:]PORT",
      "--ws URL": "eth0 is at the other end of a WebSocket relay for Ethernet",
      "--pcap FILE": "capture what passes eth0 (pcapng, for Wireshark)",
      "--config FILE": "configure interfaces first, by a file of LKL's (JSON)",
      "--memory MIB": memory,
    },
    examples: [
      "liblinux net -d ping -c 3 192.0.2.1",
      "liblinux net -c 'link add br0 type bridge; addr add 10.0.0.1/24 dev br0; link set br0 up; addr'",
      "liblinux net --pcap trace.pcapng lab.net",
    ],
    load: async () => (await import("../net.ts")).net,
  },
};
