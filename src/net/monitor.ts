// What changes in the network's configuration, as it changes (ip-monitor(8)).

import { NETLINK_ROUTE } from "../abi/constants/netlink.ts";
import {
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV6_RULE,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
} from "../abi/constants/rtnetlink.ts";
import { AF_BRIDGE } from "../abi/constants/socket.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { readAddress } from "./interface-address.ts";
import type { InterfaceAddress } from "./interface-address.ts";
import { readLink } from "./link.ts";
import type { Link, Links } from "./link.ts";
import { readNeighbour } from "./neighbour.ts";
import type { Neighbour } from "./neighbour.ts";
import type { Message } from "./netlink/message.ts";
import { Subscription } from "./netlink/subscription.ts";
import type { SubscriptionOptions } from "./netlink/subscription.ts";
import { readRoute, withNames } from "./route.ts";
import type { Route } from "./route.ts";
import { readRule } from "./rule.ts";
import type { Rule } from "./rule.ts";
import type { Session } from "./session.ts";

const GROUPS = {
  link: [RTNLGRP_LINK],
  address: [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
  route: [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE],
  rule: [RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE],
  neighbour: [RTNLGRP_NEIGH],
} as const;

/** What may be watched. */
export type MonitorTopic = keyof typeof GROUPS;

/** Something is new or changed ("set"), or gone ("delete"). */
export type MonitorEvent =
  | { readonly type: "link"; readonly action: "set" | "delete"; readonly link: Link }
  | {
      readonly type: "address";
      readonly action: "set" | "delete";
      readonly address: InterfaceAddress;
    }
  | { readonly type: "route"; readonly action: "set" | "delete"; readonly route: Route }
  | { readonly type: "rule"; readonly action: "set" | "delete"; readonly rule: Rule }
  | {
      readonly type: "neighbour";
      readonly action: "set" | "delete";
      readonly neighbour: Neighbour;
    };

/** Names of interfaces, as far as links that were told of tell them. */
async function eventsOf(message: Message, session: Session, links: Links): Promise<MonitorEvent[]> {
  const { type, payload } = message;
  const nameOf = session.naming();
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      // That is a bridge's port which came or went, not a link.
      if (payload[0] === AF_BRIDGE) return [];
      const link = readLink(payload);
      const action = type === RTM_NEWLINK ? "set" : "delete";
      return [{ type: "link", action, link: await links.resolve(link) }];
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const raw = readAddress(payload);
      const action = type === RTM_NEWADDR ? "set" : "delete";
      return [{ type: "address", action, address: { ...raw, device: await nameOf(raw.device) } }];
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const action = type === RTM_NEWROUTE ? "set" : "delete";
      return [{ type: "route", action, route: await withNames(readRoute(payload), nameOf) }];
    }
    case RTM_NEWRULE:
    case RTM_DELRULE:
      return [
        { type: "rule", action: type === RTM_NEWRULE ? "set" : "delete", rule: readRule(payload) },
      ];
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const { family, ...raw } = readNeighbour(payload);
      if (family === AF_BRIDGE) return [];
      const action = type === RTM_NEWNEIGH ? "set" : "delete";
      const neighbour = { ...raw, device: await nameOf(raw.device) };
      return [{ type: "neighbour", action, neighbour }];
    }
    default:
      return [];
  }
}

/** Begin to watch. What happens from then on is told in its order. */
export async function monitor(
  session: Session,
  links: Links,
  topics: readonly MonitorTopic[],
  options?: SubscriptionOptions,
): Promise<Subscription<MonitorEvent>> {
  const groups = topics.flatMap((topic) => {
    if (!Object.hasOwn(GROUPS, topic))
      throw new InvalidOptionError(
        "topics",
        `${topic}: it is one of ${Object.keys(GROUPS).join(", ")}`,
      );
    return [...GROUPS[topic]];
  });
  const read = (message: Message) => eventsOf(message, session, links);
  return Subscription.open(session.process, NETLINK_ROUTE, groups, read, options);
}
