// wg: WireGuard's interfaces, as wg(8) has them.

import { readFileSync } from "node:fs";

import type { WireGuardDevice, WireGuardPeer, WireGuardPeerSpec } from "../../../net/index.ts";
import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { device } from "../ip/verbs.ts";
import { number } from "../values.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";

/** `wg show [DEVICE]`, `wg set DEVICE …` */
export function wg(words: Words): Command {
  const verb = words.done
    ? "show"
    : words.oneOf(["show", "set", "showconf"] as const, "verb of wg");
  if (verb === "set") return set(words);
  return verb === "show" ? list(words) : configuration(words);
}

const KEY = /^[A-Za-z\d+/]{43}=$/;

/** A key in base64, or a file with one, as wg(8) takes it. */
function key(words: Words): string {
  const given = words.take("a key, or a file with one");
  if (KEY.test(given)) return given;
  let text: string;
  try {
    text = readFileSync(given, "utf8").trim();
  } catch {
    throw new WordError(`"${given}" is no key (44 characters of base64), and no file with one`);
  }
  if (!KEY.test(text)) throw new WordError(`${given}: there is no key in it`);
  return text;
}

function publicKey(words: Words): string {
  const given = words.take("a peer's public key");
  if (!KEY.test(given)) throw new WordError(`"${given}" is no key: it has 44 characters of base64`);
  return given;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function set(words: Words): Command {
  const name = device(words);
  const changes: { listenPort?: number; mark?: number; privateKey?: string } = {};
  const peers: Mutable<WireGuardPeerSpec>[] = [];
  const peer = (word: string): Mutable<WireGuardPeerSpec> => {
    const last = peers.at(-1);
    if (!last) throw new WordError(`"${word}" stands behind peer KEY`);
    return last;
  };
  words.parameters(
    {
      "listen-port": (rest) => void (changes.listenPort = number(rest, 0, 0xffff)),
      fwmark: (rest) => void (changes.mark = rest.accept("off") ? 0 : number(rest)),
      "private-key": (rest) => void (changes.privateKey = key(rest)),
      peer: (rest) => void peers.push({ publicKey: publicKey(rest) }),
      remove: () => void (peer("remove").remove = true),
      "preshared-key": (rest) => void (peer("preshared-key").presharedKey = key(rest)),
      endpoint: (rest) => void (peer("endpoint").endpoint = rest.take("ADDRESS:PORT")),
      "persistent-keepalive": (rest) =>
        void (peer("persistent-keepalive").keepaliveSeconds = rest.accept("off")
          ? 0
          : number(rest, 0, 0xffff)),
      "allowed-ips": (rest) => {
        const given = rest.take("networks");
        peer("allowed-ips").allowedIps =
          given === "" ? [] : given.split(",").map((one) => one.trim());
      },
    },
    "word of wg set",
  );
  return ({ network }) =>
    network.wireguard.set(name, { ...changes, ...(peers.length && { peers }) });
}

async function devices(
  { network }: Parameters<Command>[0],
  name: string | undefined,
): Promise<WireGuardDevice[]> {
  if (name !== undefined) return [await network.wireguard.get(name)];
  const all: WireGuardDevice[] = [];
  for (const link of await network.link.list())
    if (link.kind === "wireguard") all.push(await network.wireguard.get(link.name));
  return all;
}

function list(words: Words): Command {
  const name = words.done || words.accept("all") ? undefined : device(words);
  words.end();
  return async (context) => {
    await show(context, NO_FLAGS, await devices(context, name), deviceRecord, deviceText);
  };
}

/** Keys that are nobody else's business are not shown. */
function deviceRecord({ name, publicKey, listenPort, mark, peers }: WireGuardDevice) {
  const own = ({ presharedKey, ...peer }: WireGuardPeer) =>
    presharedKey === undefined ? peer : { ...peer, presharedKey: "(hidden)" };
  return { ifname: name, publicKey, listenPort, fwmark: mark, peers: peers.map(own) };
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function bytesText(bytes = 0): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit ? value.toFixed(2) : value} ${UNITS[unit]}`;
}

function peerText(peer: WireGuardPeer): string {
  const { lastHandshakeMs: last, rxBytes, txBytes, keepaliveSeconds } = peer;
  const lines = [
    `peer: ${peer.publicKey}`,
    ...(peer.presharedKey === undefined ? [] : ["  preshared key: (hidden)"]),
    ...(peer.endpoint === undefined ? [] : [`  endpoint: ${peer.endpoint}`]),
    `  allowed ips: ${peer.allowedIps.join(", ") || "(none)"}`,
    ...(last === undefined
      ? []
      : [`  latest handshake: ${Math.max(0, Math.round((Date.now() - last) / 1000))} seconds ago`]),
    ...(rxBytes || txBytes
      ? [`  transfer: ${bytesText(rxBytes)} received, ${bytesText(txBytes)} sent`]
      : []),
    ...(keepaliveSeconds ? [`  persistent keepalive: every ${keepaliveSeconds} seconds`] : []),
  ];
  return `\n${lines.join("\n")}\n`;
}

function deviceText(one: WireGuardDevice): string {
  const lines = [
    `interface: ${one.name}`,
    ...(one.publicKey === undefined ? [] : [`  public key: ${one.publicKey}`]),
    ...(one.privateKey === undefined ? [] : ["  private key: (hidden)"]),
    `  listening port: ${one.listenPort}`,
    ...(one.mark ? [`  fwmark: 0x${one.mark.toString(16)}`] : []),
  ];
  return `${lines.join("\n")}\n${one.peers.map(peerText).join("")}`;
}

/** The file of `wg setconf`, keys and all. */
function configuration(words: Words): Command {
  const name = device(words);
  words.end();
  return async (context) => {
    const [one] = await devices(context, name);
    const peers = one.peers.map((peer) =>
      [
        "\n[Peer]",
        `PublicKey = ${peer.publicKey}`,
        ...(peer.presharedKey === undefined ? [] : [`PresharedKey = ${peer.presharedKey}`]),
        ...(peer.allowedIps.length ? [`AllowedIPs = ${peer.allowedIps.join(", ")}`] : []),
        ...(peer.endpoint === undefined ? [] : [`Endpoint = ${peer.endpoint}`]),
        ...(peer.keepaliveSeconds ? [`PersistentKeepalive = ${peer.keepaliveSeconds}`] : []),
        "",
      ].join("\n"),
    );
    const head = [
      "[Interface]",
      `ListenPort = ${one.listenPort}`,
      ...(one.mark ? [`FwMark = 0x${one.mark.toString(16)}`] : []),
      ...(one.privateKey === undefined ? [] : [`PrivateKey = ${one.privateKey}`]),
      "",
    ];
    await context.write(head.join("\n") + peers.join(""));
  };
}
