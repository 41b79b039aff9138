// dhcp: an address, the default route and servers for names, from whoever gives them.

import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { device } from "../ip/verbs.ts";
import { number } from "../values.ts";
import type { Words } from "../words.ts";

const DEVICE = "eth0";

/** `dhcp [DEVICE] [timeout SECONDS] [metric N]`, `dhcp release [DEVICE]` */
export function dhcp(words: Words): Command {
  if (words.accept("release")) {
    const name = words.done ? DEVICE : device(words);
    words.end();
    return ({ space }) => space.releaseLease(name);
  }
  let name: string | undefined;
  const options: { timeoutMs?: number; metric?: number } = {};
  words.parameters(
    {
      timeout: (rest) => void (options.timeoutMs = number(rest, 1, 3600) * 1000),
      metric: (rest) => void (options.metric = number(rest)),
      dev: (rest) => void (name = device(rest)),
    },
    "word of dhcp",
    (rest) => {
      if (name !== undefined) return false;
      name = device(rest);
      return true;
    },
  );
  const target = name ?? DEVICE;
  return async (context) => {
    const { network, signal, space } = context;
    const lease = await network.dhcp(target, { ...options, signal });
    await space.keepLease(target, lease);
    const { address, routers, nameservers, domain, server, leaseSeconds } = lease;
    const lasts = leaseSeconds === Infinity ? null : leaseSeconds;
    await show(
      context,
      NO_FLAGS,
      [lease],
      () => ({ ifname: target, address, routers, nameservers, domain, server, lease_time: lasts }),
      () => {
        const via = routers.length ? `, by way of ${routers.join(", ")}` : "";
        const names = nameservers.length ? `, names by ${nameservers.join(", ")}` : "";
        return `${target}: ${address} from ${server}${via}${names}, for ${lasts ?? "any number of"} s\n`;
      },
    );
  };
}
