// What the tests of the network share: hosts in namespaces of one kernel, and packets among them.

import assert from "node:assert/strict";

import { IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHOREPLY } from "../src/abi/constants/in.ts";
import {
  AF_INET,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_RCVTIMEO,
} from "../src/abi/constants/socket.ts";
import { Icmphdr, Iphdr, SockaddrIn } from "../src/abi/structs/socket.ts";
import type { Process } from "../src/index.ts";
import { parseIp } from "../src/net/address.ts";
import { net, networkNamespace } from "../src/net/index.ts";
import type { Network, NetworkHost } from "../src/net/index.ts";

/** A process in a network namespace of its own, and that network. */
export interface Host {
  readonly process: Process;
  readonly net: Network;
}

export async function host(kernel: NetworkHost): Promise<Host> {
  const process = await networkNamespace(kernel);
  return { process, net: net(process) };
}

/** Two hosts with a cable between them: 10.0.0.1/24 and 10.0.0.2/24, both ends "eth0". */
export async function pair(kernel: NetworkHost): Promise<[Host, Host]> {
  const left = await host(kernel);
  const right = await host(kernel);
  await left.net.link.add({
    name: "eth0",
    kind: "veth",
    veth: { peer: { name: "eth0", namespacePid: right.process.pid } },
  });
  await left.net.up("eth0", "10.0.0.1/24");
  await right.net.up("eth0", "10.0.0.2/24");
  // The kernel may take a second to see that a link is up, and drops what is sent before.
  assert.ok(await reaches(left.process, "10.0.0.2"), "the two do not reach each other");
  return [left, right];
}

export async function end(...hosts: readonly Host[]): Promise<void> {
  for (const { net, process } of hosts) {
    await net[Symbol.asyncDispose]();
    await process.exit();
  }
}

/** A struct sockaddr_in. */
export function inet(address: string, port: number): Uint8Array {
  const record = SockaddrIn.alloc();
  record.sin_family = AF_INET;
  record.sin_port = port;
  record.bytes.set(parseIp(address, "address").bytes, SockaddrIn.offsets.sin_addr);
  return record.bytes;
}

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** Waits at most so long for a packet. */
async function setReceiveTimeout(process: Process, fd: number, ms: number): Promise<void> {
  const time = new Uint8Array(
    BigInt64Array.of(BigInt(Math.floor(ms / 1000)), BigInt(ms % 1000) * 1000n).buffer,
  );
  await process.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, time, time.length);
}

/** An echo over a raw socket: whether an answer came in time. */
export async function ping(process: Process, address: string, waitMs = 500): Promise<boolean> {
  const fd = await process.socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  try {
    await setReceiveTimeout(process, fd, waitMs);
    const packet = new Uint8Array(Icmphdr.size + 8).fill(0x5a, Icmphdr.size);
    const header = Icmphdr.from(packet);
    header.type = ICMP_ECHO;
    new DataView(packet.buffer).setUint16(2, checksum(packet));
    await process.sendto(fd, packet, packet.length, 0, inet(address, 0), SockaddrIn.size);
    const answer = new Uint8Array(256);
    for (;;) {
      const length = await process.recvfrom(fd, answer, answer.length, 0, null, null);
      const icmp = (answer[0] & 15) * 4;
      const from = answer.subarray(Iphdr.offsets.saddr, Iphdr.offsets.saddr + 4).join(".");
      if (length > icmp && answer[icmp] === ICMP_ECHOREPLY && from === address) return true;
    }
  } catch (error) {
    if (
      ["EAGAIN", "ENETUNREACH", "EHOSTUNREACH", "EPERM", "ENOKEY"].includes(
        (error as NodeJS.ErrnoException).code ?? "",
      )
    )
      return false;
    throw error;
  } finally {
    await process.close(fd);
  }
}

/** Whether a host is reached, perhaps after what is in between has seen that its links are up. */
export async function reaches(process: Process, address: string): Promise<boolean> {
  for (let times = 0; times < 10; times++) if (await ping(process, address)) return true;
  return false;
}

/** A listening TCP socket. */
export async function listen(process: Process, address: string, port: number): Promise<number> {
  const fd = await process.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  await process.bind(fd, inet(address, port), SockaddrIn.size);
  await process.listen(fd, 16);
  return fd;
}

/** A connected TCP socket. */
export async function connect(process: Process, address: string, port: number): Promise<number> {
  const fd = await process.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  try {
    await process.connect(fd, inet(address, port), SockaddrIn.size);
    return fd;
  } catch (error) {
    await process.close(fd);
    throw error;
  }
}

/** Sends a text from one connected socket to the other, and gives what came. */
export async function carry(
  from: readonly [Process, number],
  to: readonly [Process, number],
  text: string,
): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  await from[0].sendto(from[1], bytes, bytes.length, 0, null, 0);
  const buffer = new Uint8Array(1024);
  const length = await to[0].recvfrom(to[1], buffer, buffer.length, 0, null, null);
  return new TextDecoder().decode(buffer.subarray(0, length));
}

/** Sends datagrams to a host's port 9. */
export async function sendDatagrams(
  process: Process,
  address: string,
  count: number,
  prepare: (fd: number) => Promise<void> = async () => {},
): Promise<void> {
  const fd = await process.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    await prepare(fd);
    const bytes = new Uint8Array(100);
    for (let i = 0; i < count; i++)
      await process.sendto(fd, bytes, bytes.length, 0, inet(address, 9), SockaddrIn.size);
  } finally {
    await process.close(fd);
  }
}
