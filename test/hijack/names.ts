// Asks for records of names. Argument: the port of a server of the host's.

import dns from "node:dns";
import { Resolver, resolveTxt } from "node:dns/promises";
import { promisify } from "node:util";

const [, , port = ""] = process.argv;
console.log(dns.getServers());
dns.setServers([`10.0.2.2:${port}`]);
console.log(await resolveTxt("short.test"));
console.log(await promisify(dns.resolveTxt)("by-callback.test"));
const resolver = new Resolver();
console.log((await resolver.resolveTxt("long.test")).flat().join("").length);
console.log(
  await resolver
    .resolveTxt("none.test")
    .catch((error: unknown) => (error as NodeJS.ErrnoException).code),
);
try {
  resolver.setServers(["192.0.2.1"]);
} catch (error) {
  console.log((error as NodeJS.ErrnoException).code);
}
