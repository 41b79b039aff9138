// conntrack: the connections that pass, as conntrack(8) lists them.

import type { Connection, ConnectionTuple } from "../../../net/index.ts";
import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { unknownWord } from "../words.ts";
import type { Words } from "../words.ts";

/** `conntrack -L`, `conntrack -F` */
export function conntrack(words: Words): Command {
  const mode = words.done ? "-L" : words.take("an option");
  words.end();
  if (mode === "-F" || mode === "--flush") return ({ network }) => network.connection.flush();
  if (mode !== "-L" && mode !== "--dump")
    throw unknownWord(mode, "option of conntrack", ["-L", "-F"]);
  return async (context) => {
    const all = await context.network.connection.list();
    await show(context, NO_FLAGS, all, (one) => one, text);
  };
}

function tupleText({
  source,
  destination,
  sourcePort,
  destinationPort,
  icmpId,
  icmpType,
  icmpCode,
}: ConnectionTuple) {
  return [
    `src=${source} dst=${destination}`,
    ...(sourcePort === undefined ? [] : [`sport=${sourcePort} dport=${destinationPort}`]),
    ...(icmpType === undefined ? [] : [`type=${icmpType} code=${icmpCode} id=${icmpId}`]),
  ].join(" ");
}

/** Numbers of protocols stand beside their names. */
const NUMBERS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
};

function text({ original, reply, status, tcpState, timeoutSeconds, mark }: Connection): string {
  const { protocol } = original;
  const words = [
    `${String(protocol).padEnd(8)} ${NUMBERS[protocol] ?? protocol} ${timeoutSeconds ?? 0}`,
    ...(tcpState === undefined ? [] : [String(tcpState).toUpperCase().replaceAll("-", "_")]),
    tupleText(original),
    ...(status.includes("seen-reply") ? [] : ["[UNREPLIED]"]),
    tupleText(reply),
    ...(status.includes("assured") ? ["[ASSURED]"] : []),
    `mark=${mark ?? 0}`,
    "use=1",
  ];
  return `${words.join(" ")}\n`;
}
