// The network interfaces of the kernel, and what is at their other ends: the host's side.

import { WebSocketLink } from "../link/index.ts";
import type { HostNat, Uplink } from "../link/index.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { LklInterface } from "../net/index.ts";
import { SocketLink, TapLink, UdpLink, hostNat } from "../platform/node/index.ts";
import { VirtioNet } from "../virtio/index.ts";
import type { HijackConfig, HijackInterface } from "./config.ts";
import { HostPort, onHost } from "./host-side.ts";

/** What the NAT gives to those behind it; see docs/links.md. */
const NAT_NETWORK = "10.0.2.";
const NAT_ADDRESS = "10.0.2.15";
const NAT_PREFIX = 24;
const NAT_GATEWAY = "10.0.2.2";
const NAT_NAMESERVER = "10.0.2.3";

const MAX_PORT = 65535;

/** A device, and the link that it is plugged into. */
export interface Interface {
  readonly device: VirtioNet;
  readonly link: Uplink | null;
  /** What is to be configured, with what is known of the link. */
  readonly settings: LklInterface;
  readonly nameserver: string | undefined;
  readonly dhcp: boolean;
}

/** An address and a port, such as `10.0.0.1:80`, `[::1]:80`, or a port of this machine's. */
function placeOf(text: string, option: string): { host: string; port: number } {
  const [, host, port] = /^(?:\[?([^\]]*?)\]?:)?(\d+)$/.exec(text.trim()) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > MAX_PORT)
    throw new InvalidOptionError(option, `"${text}": it is host:port`);
  return { host: host || "127.0.0.1", port: Number(port) };
}

async function openNat({ forwards }: HijackInterface, guestAddress: string): Promise<HostNat> {
  const nat = hostNat();
  try {
    for (const forward of forwards) await nat.forwardPort({ ...forward, guestAddress });
    return nat;
  } catch (error) {
    await nat.close();
    throw error;
  }
}

async function openLink(
  one: HijackInterface,
  { ip = NAT_ADDRESS }: LklInterface,
  option: string,
): Promise<Uplink | null> {
  const { type, param = "" } = one;
  switch (type) {
    case "nat":
      return openNat(one, ip.replace(/\/.*/, ""));
    case "tap":
      return TapLink.open({ device: param });
    case "stream":
      return SocketLink.connect(
        param.startsWith("/") ? { path: param } : placeOf(param, `${option}.param`),
      );
    case "udp": {
      const [remote = "", local] = param.split(",");
      return UdpLink.open({
        remote: placeOf(remote, `${option}.param`),
        ...(local !== undefined && { local: placeOf(local, `${option}.param`) }),
      });
    }
    case "websocket":
      return WebSocketLink.open(param);
    case "none":
  }
  return null;
}

/** Behind the NAT nothing has to be said, and DHCP need not be asked for what is known. */
function settingsOf(one: HijackInterface, settings: LklInterface): LklInterface {
  if (one.type !== "nat" || one.dhcp) return settings;
  const { ip = `${NAT_ADDRESS}/${NAT_PREFIX}`, gateway } = settings;
  if (gateway !== undefined || !ip.startsWith(NAT_NETWORK)) return settings;
  return { ...settings, ip, gateway: NAT_GATEWAY };
}

/**
 * Make the devices and links of a configuration.
 *
 * @throws {LinkError} if a link cannot be opened @throws {InvalidOptionError}
 */
export async function openInterfaces(
  config: HijackConfig,
  onError: (error: Error) => void,
): Promise<Interface[]> {
  const interfaces: Interface[] = [];
  for (const [index, one] of config.interfaces.entries()) {
    const given = config.lkl.interfaces[index];
    const link = await onHost(() => openLink(one, given, `interfaces.${index}`));
    void link?.ended.then(() => link.error && onError(link.error));
    const { mac, mtu, offload } = given;
    const device = new VirtioNet({
      ...(link && { port: new HostPort(link.port) }),
      ...(mac !== undefined && { mac }),
      ...(mtu !== undefined && { mtu }),
      ...(offload !== undefined && { offload: offload !== 0 }),
    });
    interfaces.push({
      device,
      link,
      settings: settingsOf(one, given),
      nameserver: one.type === "nat" ? NAT_NAMESERVER : undefined,
      dhcp: one.dhcp,
    });
  }
  return interfaces;
}
