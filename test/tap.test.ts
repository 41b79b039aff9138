// A kernel of ours and the host's own network stack, with a TAP device in a network namespace between
// them: what each can do with the other. Each run is captured, and tshark has to find it in order.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import type nodeNet from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { TestContext } from "node:test";

import {
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  IPPROTO_ICMPV6,
} from "../src/abi/constants/in6.ts";
import { AF_INET6, SOCK_RAW } from "../src/abi/constants/socket.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { Capture } from "../src/link/index.ts";
import { ipEndpoint } from "../src/net/facade/index.ts";
import { net as network } from "../src/net/index.ts";
import { CaptureFile, TapLink, createSockets } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { VirtioNet } from "../src/virtio/index.ts";
import { noise, run, temporaryFolder } from "./images/native.ts";
import { iperf3Client, iperf3Server } from "./iperf3.ts";
import type { Measured } from "./iperf3.ts";
import { repeats } from "./kernel.ts";
import { reaches } from "./net-support.ts";
import { Namespace, whyNoTap } from "./tap-support.ts";

const MIB = 1 << 20;
const HOST = "10.9.0.100";
const KERNEL = "10.9.0.1";
const HOST_6 = "fd09::100";
const KERNEL_6 = "fd09::1";
/** What iperf3 moves at a time. */
const BULK_BYTES = repeats(2048, 16) * MIB;
/** The same where all of it is captured. */
const SHORT_BYTES = 2 * MIB;

const CHECKED = ["tcp", "udp", "ip"].flatMap((one) => ["-o", `${one}.check_checksum:TRUE`]);
/** What tshark tells of each frame: its number, what is malformed, and how good its checksums are. */
const FIELDS = [
  "frame.number",
  "_ws.malformed",
  ...["ip", "tcp", "udp", "icmp", "icmpv6"].map((one) => `${one}.checksum.status`),
].flatMap((field) => ["-e", field]);
/** A frame with nothing malformed, and no checksum that is 0: bad. */
const SOUND = /^\d+\t(\t[12,]*)+$/;

/** The namespace's end, the kernel's, and the device in between. */
interface Place {
  readonly host: Namespace;
  readonly tap: TapLink;
  readonly kernel: Kernel;
  readonly process: Process;
  readonly own: NodeSockets;
}

const why = await whyNoTap();

if (why !== null)
  test("a TAP device needs a machine that allows it, and this one does not", (t) => {
    t.diagnostic(`not tested against the host's own stack: ${why}`);
    assert.match(why, /root|TAP|tun/);
  });
else
  suite("a kernel and the host's own stack", () => {
    let place: Place;
    const folder = temporaryFolder();
    /** What is there, so that it goes again whatever happens. */
    const held = new AsyncDisposableStack();
    held.use(folder);

    before(async () => {
      const host = held.use(new Namespace());
      const tap = held.use(await TapLink.open({ device: "tap0", netns: host.name }));
      await host.run("ip", "addr", "add", `${HOST}/24`, "dev", "tap0");
      await host.run("ip", "addr", "add", `${HOST_6}/64`, "dev", "tap0", "nodad");
      await host.run("ip", "link", "set", "tap0", "up");
      await host.run("ip", "link", "set", "lo", "up");
      const devices = [new VirtioNet({ port: tap.port })];
      const kernel = held.use(await Kernel.boot({ image: "full", memoryMiB: 128, devices }));
      await using configuration = network(kernel);
      await configuration.up("lo");
      await configuration.sysctl.set("net.ipv6.conf.eth0.accept_dad", 0);
      await configuration.up("eth0", `${KERNEL}/24`, `${KERNEL_6}/64`);
      // The kernel may take a second to see that there is a carrier.
      await configuration.settled("eth0");
      const process = await kernel.process();
      place = { host, tap, kernel, process, own: held.use(createSockets(process)) };
    });

    after(() => held.disposeAsync());

    /** What passes during `work` is in order, as far as tshark knows. */
    async function captured(name: string, t: TestContext, work: () => Promise<void>) {
      const file = join(folder.path, `${name}.pcapng`);
      // Segments as they are passed have no checksums yet: those of frames as on a wire are looked at.
      const capture = new Capture(new CaptureFile(file), { cut: true });
      capture.add(place.tap.port);
      try {
        await work();
      } finally {
        await capture.close();
      }
      assert.equal(capture.droppedFrames, 0);
      // Of most frames most fields are empty: nothing is trimmed.
      const lines = run("tshark", "-r", file, ...CHECKED, "-T", "fields", ...FIELDS)
        .split("\n")
        .slice(0, -1);
      assert.deepEqual(
        lines.filter((line) => !SOUND.test(line)),
        [],
      );
      assert.ok(lines.length > 4, `${lines.length} frames`);
      t.diagnostic(`${lines.length} frames decoded, none malformed`);
    }

    test("ping, both ways, by IPv4 and IPv6, of any length", (t) =>
      captured("ping", t, async () => {
        assert.ok(await reaches(place.process, HOST));
        await using raw = await place.own.sockets.datagrams({
          family: AF_INET6,
          type: SOCK_RAW,
          protocol: IPPROTO_ICMPV6,
        });
        // RFC 4443, section 4.1; the kernel makes the checksum.
        const echo = Uint8Array.of(ICMPV6_ECHO_REQUEST, 0, 0, 0, 1, 2, 3, 4);
        await raw.send(echo, ipEndpoint(HOST_6, 0));
        for (let answered = false; !answered;)
          for (const { bytes } of await raw.receive())
            if (bytes[0] === ICMPV6_ECHO_REPLY) {
              assert.deepEqual(Array.from(bytes.subarray(4)), [1, 2, 3, 4]);
              answered = true;
            }
        for (const [address, ...more] of [
          [KERNEL],
          [KERNEL, "-s", "20000"],
          [KERNEL_6],
          [KERNEL_6, "-s", "20000"],
        ]) {
          // Until three are answered: with -w it does not count on the last answer to be quick.
          const said = await place.host.run("ping", "-c3", "-i0.05", "-w20", ...more, address);
          assert.match(said, / ([3-9]|\d\d+) received, /);
        }
        const nobody = "10.9.0.77";
        await assert.rejects(place.host.run("ping", "-c1", "-W1", nobody), {
          stdout: /100% packet loss/,
        });
      }));

    test("curl and a server of node:http in the kernel", (t) =>
      captured("curl", t, async () => {
        const page = noise(5 * MIB, 3);
        const web = http.createServer((request, response) => {
          if (request.method === "PUT") {
            const hash = createHash("sha256");
            request.on("data", (part: Buffer) => hash.update(part));
            request.on("end", () => response.end(hash.digest("hex")));
          } else if (request.url === "/page") response.end(page);
          else response.writeHead(404).end("no such page\n");
        });
        const server = place.own.net.createServer((socket) => web.emit("connection", socket));
        server.listen(80);
        await once(server, "listening");
        const file = join(folder.path, "page");
        for (const base of [`http://${KERNEL}`, `http://[${KERNEL_6}]`]) {
          const url = `${base}/page`;
          await place.host.run("curl", "-sSf", "-o", file, url);
          const digest = createHash("sha256").update(page).digest("hex");
          assert.equal(run("sha256sum", file).split(" ")[0], digest);
          assert.equal(await place.host.run("curl", "-sSf", "-T", file, url), digest);
        }
        const urls = Array.from({ length: 20 }, (_, i) => `http://${KERNEL}/${i}`);
        const said = await place.host.run("curl", "-sS", "--parallel", ...urls);
        assert.equal(said, "no such page\n".repeat(20));
        await new Promise((resolve) => void server.close(resolve));
      }));

    test("node:http in the kernel and a server of the host's", (t) =>
      captured("http", t, async () => {
        await using programs = new AsyncDisposableStack();
        programs.use(await place.host.start(process.execPath, "-e", SERVER));
        const net = place.own.net as unknown as typeof nodeNet;
        const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
        agent.createConnection = (options) => net.connect(options as nodeNet.NetConnectOpts);
        const ask = async (host: string, body: Buffer): Promise<Buffer> => {
          const request = http.request({ agent, host, port: 8080, method: "POST" });
          request.end(body);
          const [response] = (await once(request, "response")) as [http.IncomingMessage];
          assert.equal(response.statusCode, 200);
          const parts: Buffer[] = [];
          for await (const part of response) parts.push(part as Buffer);
          return Buffer.concat(parts);
        };
        const bodies = [0, 1, 1500, 70_000, 3 * MIB].map((length) => noise(length, length));
        for (const address of [HOST, HOST_6]) {
          const answers = await Promise.all(bodies.map((body) => ask(address, body)));
          for (const [i, answer] of answers.entries())
            assert.equal(Buffer.compare(answer, bodies[i]), 0);
        }
        agent.destroy();
      }));

    const say = (t: TestContext, what: string, { bytes, seconds }: Measured) =>
      t.diagnostic(
        `${what}: ${Math.round(bytes / MIB)} MiB, ${Math.round(bytes / seconds / 1e6)} MB/s`,
      );

    test("a client in the kernel and the host's iperf3 -s, both ways", async (t) => {
      const remote = ipEndpoint(HOST, 5201);
      const measure = async (reverse: boolean, bytes: number) => {
        // One for each: between two tests it listens anew, and refuses who comes at that moment.
        await using programs = new AsyncDisposableStack();
        programs.use(await place.host.start("iperf3", "-s", "-1", "--forceflush"));
        const { sockets } = place.own;
        const { ours, theirs } = await iperf3Client(sockets, remote, { bytes, reverse });
        // Who sends ends when all is sent, not when all has come.
        assert.ok(reverse ? ours.bytes >= bytes : ours.bytes === bytes, `${ours.bytes} bytes`);
        assert.ok(reverse ? theirs >= bytes : theirs > 0 && theirs <= bytes);
        return ours;
      };
      say(t, "kernel to host", await measure(false, BULK_BYTES));
      say(t, "host to kernel", await measure(true, BULK_BYTES));
      await captured("iperf3-server", t, async () => {
        await measure(false, SHORT_BYTES);
        await measure(true, SHORT_BYTES);
      });
    });

    test("the host's iperf3 -c and a server in the kernel, both ways, in parallel", async (t) => {
      const listener = await place.own.sockets.listen({ local: ipEndpoint(KERNEL, 5201) });
      const measure = async (bytes: number, ...flags: readonly string[]) => {
        const [{ ours }, said] = await Promise.all([
          iperf3Server(listener),
          place.host.run("iperf3", "-J", "-c", KERNEL, "-n", `${bytes}`, ...flags),
        ]);
        const { error, end } = JSON.parse(said) as Report;
        assert.equal(error, undefined);
        assert.ok(end.sum_sent.bytes >= bytes);
        const { bytes: received } = end.sum_received;
        if (flags.includes("-R")) assert.ok(received >= bytes && received <= ours.bytes);
        else assert.equal(received, ours.bytes);
        // What was on its way when all was sent is not counted.
        assert.ok(received > 0);
        return ours;
      };
      say(t, "host to kernel", await measure(BULK_BYTES));
      say(t, "kernel to host", await measure(BULK_BYTES, "-R"));
      say(t, "host to kernel, four streams", await measure(BULK_BYTES, "-P4"));
      await captured("iperf3-client", t, async () => {
        await measure(SHORT_BYTES);
        await measure(SHORT_BYTES, "-R", "-P4");
      });
      await listener.close();
    });
  });

/** What `iperf3 -J` says in the end. */
interface Report {
  readonly error?: string;
  readonly end: Readonly<Record<"sum_sent" | "sum_received", { readonly bytes: number }>>;
}

/** Sends back what it is sent. */
const SERVER = `
  require("http").createServer((request, response) => request.pipe(response))
    .listen(8080, "::", () => console.log("up"));
`;
