// Sockets: made, bound, connected, closed.

import { IPPROTO_ICMP, IPPROTO_UDP } from "../../../src/abi/constants/in.ts";
import { IPPROTO_ICMPV6 } from "../../../src/abi/constants/in6.ts";
import { AF_INET, AF_INET6 } from "../../../src/abi/constants/socket.ts";
import { Endpoint } from "../endpoint.ts";
import type { Protocol } from "../endpoint.ts";
import type { CallEvent } from "../script.ts";
import { addressFrom, socketAddress } from "../values.ts";
import { nameDescriptor } from "./call.ts";
import type { Arguments, CallHost, Target, Done } from "./call.ts";

const ADDRESS_BYTES = 128;

function protocolOf(protocol: number): Protocol {
  if (protocol === IPPROTO_UDP) return "udp";
  return protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6 ? "icmp" : "tcp";
}

const EMPTY = () => ({
  local: new Uint8Array(0),
  localPort: 0,
  remote: new Uint8Array(0),
  remotePort: 0,
});

function addEndpoint(host: CallHost, script: number, protocol: Protocol): void {
  const endpoint = new Endpoint(protocol, EMPTY(), script);
  host.endpoints.set(script, endpoint);
  host.created(endpoint);
}

export async function socket(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(3);
  const domain = args.isAny(0) ? host.domain : args.number(0);
  const protocol = args.number(2);
  const fd = await host.process.socket(domain, args.number(1), protocol);
  const script = nameDescriptor(host, event, fd);
  if (domain === AF_INET || domain === AF_INET6) addEndpoint(host, script, protocolOf(protocol));
  return { result: "descriptor" };
}

export function addressAt(args: Arguments, index: number, otherwise: Target): Target {
  return args.isAny(index) ? otherwise : addressFrom(args.at(index));
}

export async function bind(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  const bytes = socketAddress(addressAt(args, 1, host.bindTo));
  return { result: await host.process.bind(args.fd(), bytes, bytes.length) };
}

export async function listen(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2);
  const result = await host.process.listen(args.fd(), args.number(1));
  const endpoint = args.endpoint();
  if (endpoint) endpoint.state = "listening";
  return { result };
}

export async function accept(args: Arguments, host: CallHost, event: CallEvent): Promise<Done> {
  args.expect(3, 4);
  const address = await host.room.take(ADDRESS_BYTES);
  const length = await host.room.take(4, new Uint8Array(Uint32Array.of(ADDRESS_BYTES).buffer));
  const flags = args.count > 3 ? args.number(3) : 0;
  const fd = await host.process.accept4(args.fd(), address, length, flags);
  const script = nameDescriptor(host, event, fd);
  host.endpoints.set(script, new Endpoint("tcp", EMPTY(), script));
  // The port is in the same place for both versions of IP.
  host.accepted(script, address.view.getUint16(2));
  return { result: "descriptor" };
}

export async function connect(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(3);
  if (args.at(1).kind === "word") return disconnect(args, host);
  const target = addressAt(args, 1, host.connectTo);
  const endpoint = args.endpoint();
  if (endpoint) host.connecting(endpoint, target);
  const bytes = socketAddress(target);
  return { result: await host.process.connect(args.fd(), bytes, bytes.length) };
}

/** `connect(4, AF_UNSPEC, ...)` */
async function disconnect(args: Arguments, host: CallHost): Promise<Done> {
  const endpoint = args.endpoint();
  if (endpoint) endpoint.state = "new";
  const bytes = socketAddress({ address: new Uint8Array(4), port: 0 });
  new DataView(bytes.buffer).setUint16(0, args.number(1), true);
  return { result: await host.process.connect(args.fd(), bytes, bytes.length) };
}

export async function shutdown(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(2);
  return { result: await host.process.shutdown(args.fd(), args.number(1)) };
}

export async function close(args: Arguments, host: CallHost): Promise<Done> {
  args.expect(1);
  const result = await host.process.close(args.fd());
  host.descriptors.delete(args.scriptFd());
  return { result };
}
