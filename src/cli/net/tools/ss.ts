// ss: sockets, and what TCP knows of its connections.

import { ipOf } from "../../../net/address.ts";
import type { InetSocket, SocketProtocol, TcpInfo, UnixSocket } from "../../../net/index.ts";
import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { rateText } from "../show/text.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";

/** Names of states, by ours. Of what has no connections "close" is another. */
const STATES: Readonly<Record<string, string>> = {
  established: "ESTAB",
  "syn-sent": "SYN-SENT",
  "syn-received": "SYN-RECV",
  "fin-wait-1": "FIN-WAIT-1",
  "fin-wait-2": "FIN-WAIT-2",
  "time-wait": "TIME-WAIT",
  close: "UNCONN",
  "close-wait": "CLOSE-WAIT",
  "last-ack": "LAST-ACK",
  listen: "LISTEN",
  closing: "CLOSING",
  "new-syn-received": "NEW-SYN-RECV",
};

interface Asked {
  readonly kinds: Set<SocketProtocol | "unix">;
  listening: boolean;
  all: boolean;
  info: boolean;
  memory: boolean;
  extended: boolean;
  heads: boolean;
  summary: boolean;
  json: boolean;
  family?: "ipv4" | "ipv6";
  state?: string;
  tests: ((socket: InetSocket) => boolean)[];
}

const LETTERS: Readonly<Record<string, (asked: Asked) => void>> = {
  t: ({ kinds }) => void kinds.add("tcp"),
  u: ({ kinds }) => void kinds.add("udp"),
  w: ({ kinds }) => void kinds.add("raw"),
  x: ({ kinds }) => void kinds.add("unix"),
  l: (asked) => void (asked.listening = true),
  a: (asked) => void (asked.all = true),
  i: (asked) => void (asked.info = true),
  m: (asked) => void (asked.memory = true),
  e: (asked) => void (asked.extended = true),
  s: (asked) => void (asked.summary = true),
  H: (asked) => void (asked.heads = false),
  j: (asked) => void (asked.json = true),
  n: () => {},
  p: () => {},
  4: (asked) => void (asked.family = "ipv4"),
  6: (asked) => void (asked.family = "ipv6"),
};

const LONG: Readonly<Record<string, string>> = {
  "--tcp": "t",
  "--udp": "u",
  "--raw": "w",
  "--unix": "x",
  "--listening": "l",
  "--all": "a",
  "--info": "i",
  "--memory": "m",
  "--extended": "e",
  "--summary": "s",
  "--no-header": "H",
  "--numeric": "n",
  "--processes": "p",
  "--ipv4": "4",
  "--ipv6": "6",
  "--json": "j",
};

/** `ss -tin state established sport = :80` */
export function ss(words: Words): Command {
  const asked: Asked = {
    kinds: new Set(),
    listening: false,
    all: false,
    info: false,
    memory: false,
    extended: false,
    heads: true,
    summary: false,
    json: false,
    tests: [],
  };
  while (words.next?.startsWith("-")) {
    const given = words.take("an option");
    const letters = LONG[given] ?? (given.startsWith("--") ? "?" : given.slice(1));
    for (const letter of letters) {
      if (!Object.hasOwn(LETTERS, letter))
        throw unknownWord(given, "option of ss", [
          ...Object.keys(LETTERS).map((one) => `-${one}`),
          ...Object.keys(LONG),
        ]);
      LETTERS[letter](asked);
    }
  }
  readFilter(words, asked);
  return (context) => (asked.summary ? summary(context) : list(context, asked));
}

function readFilter(words: Words, asked: Asked): void {
  while (words.next !== undefined) {
    if (words.accept("and", "&&")) continue;
    const word = words.oneOf(
      ["state", "sport", "dport", "src", "dst"] as const,
      "word of a filter",
    );
    if (word === "state") {
      const names = [...Object.keys(STATES), "listening", "connected", "all"];
      asked.state = words.oneOf(names, "state").replace("listening", "listen");
      asked.all = true;
    } else {
      words.accept("=", "==", "eq");
      asked.tests.push(test(word, words.take("an address or a port")));
    }
  }
}

/** `:80`, `10.0.0.1`, `10.0.0.1:80`, `[fd00::1]:80` */
function test(word: "sport" | "dport" | "src" | "dst", given: string) {
  const isLocal = word === "sport" || word === "src";
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:]*|[\da-f:]*::[\da-f:]*))(?::(\d+))?$/i.exec(given) ?? [];
  const port = word.endsWith("port") && /^\d+$/.test(given) ? given : digits;
  const address = bracketed ?? (port === given ? undefined : plain || undefined);
  const wrong = address !== undefined && !ipOf(address);
  if (wrong || (port === undefined && address === undefined))
    throw new WordError(`${word} "${given}": it is like :80, 10.0.0.1 or 10.0.0.1:80`);
  return (socket: InetSocket): boolean => {
    const own = isLocal ? socket.localAddress : socket.remoteAddress;
    const number = isLocal ? socket.localPort : socket.remotePort;
    return (
      (address === undefined || own === address) && (port === undefined || number === Number(port))
    );
  };
}

const isConnected = (state: string): boolean => state !== "listen" && state !== "close";

/** By default what has another end; with -l what waits for one. */
function fitsState(state: string, { listening, all, state: wanted }: Asked): boolean {
  if (wanted === "connected") return isConnected(state);
  if (wanted !== undefined && wanted !== "all") return state === wanted;
  if (all) return true;
  return listening ? !isConnected(state) : isConnected(state);
}

/** A socket, of any kind. */
interface Row {
  readonly kind: string;
  readonly state: string;
  readonly receive: number;
  readonly send: number;
  readonly local: string;
  readonly remote: string;
  readonly json: Record<string, unknown>;
  readonly more: string;
}

function endText(address: string, port: number, device?: string | number): string {
  const any = address === "0.0.0.0" || address === "::";
  const host = address.includes(":") ? `[${address}]` : address;
  const on = device === undefined ? "" : `%${device}`;
  return `${any && host === "0.0.0.0" ? "0.0.0.0" : host}${on}:${port || "*"}`;
}

function inetRow(socket: InetSocket, asked: Asked): Row {
  const { protocol, localAddress, localPort, remoteAddress, remotePort } = socket;
  const state = STATES[socket.state] ?? String(socket.state);
  return {
    kind: protocol,
    state,
    receive: socket.receiveQueue,
    send: socket.sendQueue,
    local: endText(localAddress, localPort, socket.device),
    remote: endText(remoteAddress, remotePort),
    json: { ...socket, state },
    more: moreText(socket, asked),
  };
}

function unixRow(socket: UnixSocket): Row {
  const state = STATES[socket.state] ?? String(socket.state);
  const kinds = { stream: "u_str", datagram: "u_dgr", seqpacket: "u_seq" } as Record<
    string,
    string
  >;
  return {
    kind: kinds[socket.type] ?? "u_???",
    state,
    receive: socket.receiveQueue,
    send: socket.sendQueue,
    local: `${socket.path ?? "*"} ${socket.inode}`,
    remote: `* ${socket.peerInode ?? 0}`,
    json: { protocol: "unix", ...socket, state },
    more: "",
  };
}

function moreText(socket: InetSocket, { info, memory, extended }: Asked): string {
  const words = [
    ...(extended ? [`uid:${socket.userId} ino:${socket.inode}`] : []),
    ...(memory && socket.memory
      ? [
          `skmem:(r${socket.memory.receiveBytes},rb${socket.memory.receiveLimitBytes},t${socket.memory.sendBytes},tb${socket.memory.sendLimitBytes},bl${socket.memory.backlogBytes},d${socket.memory.dropped})`,
        ]
      : []),
    ...(info && socket.tcpInfo ? [infoText(socket.tcpInfo, socket.congestionControl ?? "")] : []),
  ];
  return words.length ? `\t ${words.join(" ")}\n` : "";
}

const ms = (us: number): string => String(Number((us / 1000).toFixed(3)));

function infoText(info: TcpInfo, congestion: string): string {
  const some = (name: string, value: number): string[] => (value ? [`${name}:${value}`] : []);
  const rate = (name: string, value: number): string[] =>
    value && Number.isFinite(value)
      ? [`${name} ${rateText(Math.round(value)).replace("bit", "bps")}`]
      : [];
  const sending = info.rttUs ? (info.congestionWindow * info.sendMssBytes * 1e6) / info.rttUs : 0;
  return [
    congestion,
    `wscale:${info.sendWindowScale},${info.receiveWindowScale}`,
    `rto:${ms(info.retransmitTimeoutUs)}`,
    `rtt:${ms(info.rttUs)}/${ms(info.rttVarianceUs)}`,
    `mss:${info.sendMssBytes}`,
    ...some("pmtu", info.pathMtuBytes),
    `rcvmss:${info.receiveMssBytes}`,
    `advmss:${info.advertisedMssBytes}`,
    `cwnd:${info.congestionWindow}`,
    ...(info.slowStartThreshold < 0x7fffffff ? some("ssthresh", info.slowStartThreshold) : []),
    ...some("bytes_sent", info.bytesSent),
    ...some("bytes_retrans", info.bytesRetransmitted),
    ...some("bytes_acked", info.bytesAcked),
    ...some("bytes_received", info.bytesReceived),
    ...some("segs_out", info.segmentsOut),
    ...some("segs_in", info.segmentsIn),
    ...some("data_segs_out", info.dataSegmentsOut),
    ...some("data_segs_in", info.dataSegmentsIn),
    ...rate("send", sending),
    `lastsnd:${info.lastDataSentMs}`,
    `lastrcv:${info.lastDataReceivedMs}`,
    `lastack:${info.lastAckReceivedMs}`,
    ...rate("pacing_rate", info.pacingBytesPerSecond),
    ...rate("delivery_rate", info.deliveryBytesPerSecond),
    ...some("delivered", info.delivered),
    ...some("unacked", info.unackedSegments),
    ...(info.totalRetransmits
      ? [`retrans:${info.retransmittingSegments}/${info.totalRetransmits}`]
      : []),
    ...some("lost", info.lostSegments),
    ...some("sacked", info.sackedSegments),
    ...some("reord_seen", info.outOfOrder),
    ...some("notsent", info.bytesNotSent),
    ...(info.minRttUs && info.minRttUs < 0xffffffff ? [`minrtt:${ms(info.minRttUs)}`] : []),
    ...some("snd_wnd", info.sendWindowBytes),
  ].join(" ");
}

async function rowsOf({ network }: Parameters<Command>[0], asked: Asked): Promise<Row[]> {
  const { kinds, family, tests } = asked;
  const wanted: readonly string[] = kinds.size ? [...kinds] : ["unix", "udp", "raw", "tcp"];
  const rows: Row[] = [];
  for (const kind of wanted) {
    if (kind === "unix") {
      if (tests.length || family !== undefined) continue;
      const all = await network.socket.listUnix();
      rows.push(...all.filter(({ state }) => fitsState(String(state), asked)).map(unixRow));
      continue;
    }
    const all = await network.socket.list({
      protocol: kind as SocketProtocol,
      ...(family !== undefined && { family }),
    });
    rows.push(
      ...all
        .filter((one) => fitsState(String(one.state), asked) && tests.every((fits) => fits(one)))
        .map((one) => inetRow(one, asked)),
    );
  }
  return rows;
}

/** Columns as wide as they have to be; the ends meet at their colons. */
async function list(context: Parameters<Command>[0], asked: Asked): Promise<void> {
  const rows = await rowsOf(context, asked);
  if (asked.json || context.json) {
    await show(
      context,
      { ...NO_FLAGS, json: true },
      rows,
      ({ json }) => json,
      () => "",
    );
    return;
  }
  const single = asked.kinds.size === 1 && !asked.kinds.has("unix");
  const cut = (text: string): [string, string] => {
    const at = Math.max(text.lastIndexOf(":"), text.lastIndexOf(" "));
    return [text.slice(0, at), text.slice(at)];
  };
  const cells = rows.map(({ kind, state, receive, send, local, remote, more }) => ({
    more,
    cells: [kind, state, String(receive), String(send), ...cut(local), ...cut(remote)],
  }));
  const heads = [
    "Netid",
    "State",
    "Recv-Q",
    "Send-Q",
    "Local Address",
    ":Port",
    "Peer Address",
    ":Port",
  ];
  const all = [...(asked.heads ? [heads] : []), ...cells.map((one) => one.cells)];
  const widths = heads.map((_, i) => Math.max(0, ...all.map((row) => row[i].length)));
  const line = (row: readonly string[]): string => {
    const [kind, state, receive, send, local, localPort, remote, remotePort] = row.map((cell, i) =>
      i === 4 || i === 6 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]),
    );
    const first = single ? "" : `${kind} `;
    return `${first}${state} ${receive} ${send} ${local}${localPort} ${remote}${remotePort}`.trimEnd();
  };
  const text = [
    ...(asked.heads ? [`${line(heads)}\n`] : []),
    ...cells.map((one) => `${line(one.cells)}\n${one.more}`),
  ];
  await context.write(text.join(""));
}

async function summary(context: Parameters<Command>[0]): Promise<void> {
  const { network } = context;
  const inet = await network.socket.list();
  const unix = await network.socket.listUnix();
  const count = (protocol: string, family?: string) =>
    inet.filter(
      (one) => one.protocol === protocol && (family === undefined || one.family === family),
    ).length;
  const inState = (...states: string[]) =>
    inet.filter((one) => one.protocol === "tcp" && states.includes(String(one.state))).length;
  const rows = ["raw", "udp", "tcp"].map((protocol) => ({
    transport: protocol.toUpperCase(),
    total: count(protocol),
    ipv4: count(protocol, "ipv4"),
    ipv6: count(protocol, "ipv6"),
  }));
  if (context.json) {
    await context.write(
      `${JSON.stringify([{ total: inet.length + unix.length, transports: rows }])}\n`,
    );
    return;
  }
  await context.write(
    `Total: ${inet.length + unix.length}\n` +
      `TCP:   ${count("tcp")} (estab ${inState("established")}, closed ${inState("close", "time-wait")}, ` +
      `orphaned 0, timewait ${inState("time-wait")})\n\n` +
      `Transport Total     IP        IPv6\n` +
      rows
        .map(
          ({ transport, total, ipv4, ipv6 }) =>
            `${transport}\t  ${String(total).padEnd(9)} ${String(ipv4).padEnd(9)} ${ipv6}\n`,
        )
        .join(""),
  );
}
