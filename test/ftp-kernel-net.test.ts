// The FTP server on a kernel's own stack: clients on another kernel, and programs of this machine
// that come in through a port forward of the NAT.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { connect as connectTls } from "node:tls";

import { readFile } from "../src/fs/index.ts";
import { serveFtp } from "../src/ftp/index.ts";
import type { FtpOptions, FtpServer } from "../src/ftp/index.ts";
import { Cable, LinkError } from "../src/link/index.ts";
import type { HostNat } from "../src/link/index.ts";
import { net } from "../src/net/index.ts";
import { hostNat } from "../src/platform/node/index.ts";
import type { NodeSockets } from "../src/platform/node/index.ts";
import { Client, makeCertificate, mountNew, quiet, ROOT, succeed, USER } from "./ftp-support.ts";
import type { Call, Certificate } from "./ftp-support.ts";
import { noise, temporaryFolder } from "./images/native.ts";
import { rejection, until } from "./kernel.ts";
import { peer } from "./peer.ts";
import type { Peer } from "./peer.ts";

/** As clients of this machine: who is told of the end ends as well. TLS wants to do that itself. */
const callBy =
  ({ net }: NodeSockets): Call =>
  (port, host) => {
    const socket = net.connect({ port, host, allowHalfOpen: true });
    socket.on("end", () => socket.end());
    // Sockets of the kernel's have node:net's shape, but not its class.
    return socket as unknown as Socket;
  };

async function serve(
  { kernel, sockets }: Peer,
  options: Partial<FtpOptions> = {},
): Promise<FtpServer> {
  return serveFtp({
    kernel,
    net: sockets.net,
    host: "::",
    root: ROOT,
    readOnly: false,
    users: [USER],
    loginDelayMs: 0,
    onError: (error) => assert.fail(error as Error),
    ...options,
  });
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

suite("FTP between two kernels", () => {
  const folder = temporaryFolder();
  let certificate: Certificate;
  let files: Peer;
  let user: Peer;
  before(async () => {
    certificate = makeCertificate(folder.path);
    const cable = new Cable();
    [files, user] = await Promise.all([
      peer(cable.a, "10.0.0.1/24", "fd00::1/64"),
      peer(cable.b, "10.0.0.2/24", "fd00::2/64"),
    ]);
    await mountNew(files.kernel, folder.path);
  });
  after(async () => {
    for (const { kernel, sockets } of [files, user]) {
      await sockets[Symbol.asyncDispose]();
      await kernel.halt();
    }
    folder[Symbol.dispose]();
  });
  const login = (server: FtpServer, host: string) =>
    Client.login({ host, port: server.port }, USER, callBy(user.sockets));

  for (const address of ["10.0.0.1", "fd00::1"])
    test(`files go and come, with data connections of the same stack: ${address}`, async () => {
      const processes = files.kernel.processes.size;
      const server = await serve(files);
      using client = await login(server, address);
      const content = noise(3 << 20);
      await client.push("STOR big", content);
      assert.equal(digest(await readFile(files.kernel.init, `${ROOT}/big`)), digest(content));
      assert.equal(digest(await client.fetch("RETR big")), digest(content));
      assert.match(String(await client.fetch("MLSD")), /;size=3145728;.* big\r\n/);
      await client.expect(250, "DELE big");
      client.send("QUIT");
      await client.ended();
      await quiet(server, files.kernel, processes);
      await server.close();
      // The listener, and every connection, is the kernel's again.
      await until(() => files.sockets.sockets.size === 0);
    });

  test("active data connections: the server's kernel calls the client's", async () => {
    const server = await serve(files);
    using client = await login(server, "10.0.0.1");
    await client.push("STOR small", "from far away\n");
    const listener = user.sockets.net.createServer();
    listener.listen(0, "10.0.0.2");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    for (const command of [
      `PORT 10,0,0,2,${port >> 8},${port & 255}`,
      `EPRT |1|10.0.0.2|${port}|`,
    ]) {
      await client.expect(200, command);
      const called = once(listener, "connection") as Promise<[Socket]>;
      client.send("RETR small");
      const [socket] = await called;
      // Called back by the very address that was called.
      assert.equal(socket.remoteAddress, "10.0.0.1");
      let text = "";
      for await (const part of socket) text += String(part);
      assert.equal(text, "from far away\n");
      await client.expect(150);
      await client.expect(226);
    }
    // This machine's own addresses are others' as any.
    await client.expect(504, "PORT 127,0,0,1,200,200");
    listener.close();
    await server.close();
  });

  test("TLS, required and implicit", async () => {
    const { cert, key } = certificate;
    for (const implicit of [false, true]) {
      const server = await serve(files, { tls: { cert, key, required: true, implicit } });
      const address = { host: "10.0.0.1", port: server.port };
      using client = await Client.connect(address, callBy(user.sockets));
      if (!implicit) {
        await client.expect(220);
        await client.expect(530, `USER ${USER.name}`);
        await client.expect(234, "AUTH TLS");
      }
      await client.startTls(cert);
      if (implicit) await client.expect(220);
      await client.expect(331, `USER ${USER.name}`);
      await client.expect(230, `PASS ${USER.password}`);
      assert.equal(server.sessions[0].secure, true);
      assert.equal(server.sessions[0].remoteAddress, "10.0.0.2");
      // The way to the data port is known under TLS, too.
      assert.match(await client.expect(227, "PASV"), /\(10,0,0,1,/);
      await client.expect(200, "PBSZ 0");
      await client.expect(200, "PROT P");
      await client.expect(200, "TYPE I");
      const content = noise(1 << 20, 3);
      const plain = await client.data();
      client.send("STOR secret");
      await client.expect(150);
      const up = connectTls({ socket: plain, ca: cert, servername: "localhost" });
      up.end(content);
      await client.expect(226);
      const back = await client.data();
      client.send("RETR secret");
      await client.expect(150);
      const parts: Buffer[] = [];
      const down = connectTls({ socket: back, ca: cert, servername: "localhost" });
      for await (const part of down as AsyncIterable<Buffer>) parts.push(part);
      await client.expect(226);
      assert.equal(digest(Buffer.concat(parts)), digest(content));
      client.send("QUIT");
      await client.ended();
      await server.close();
      assert.deepEqual(server.sessions, []);
    }
    await until(() => files.sockets.sockets.size === 0);
  });

  test("a port that is taken, and a net that is none", async () => {
    const server = await serve(files);
    const taken = await rejection(serve(files, { port: server.port }));
    assert.equal((taken as NodeJS.ErrnoException).code, "EADDRINUSE");
    await server.close();
    const wrong = await rejection(serve(files, { net: {} as never }));
    assert.equal((wrong as NodeJS.ErrnoException).code, "ERR_INVALID_OPTION");
    await until(() => files.sockets.sockets.size === 0);
  });

  test("forty clients at once, of which some vanish in the middle", async () => {
    const processes = files.kernel.processes.size;
    const server = await serve(files);
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        using client = await login(server, "10.0.0.1");
        await client.push(`STOR file-${index}`, noise(65536, index));
        if (index % 4 === 0) {
          await client.data();
          client.socket.resetAndDestroy();
          return;
        }
        assert.equal((await client.fetch(`RETR file-${index}`)).length, 65536);
        client.send("QUIT");
        await client.ended();
      }),
    );
    await quiet(server, files.kernel, processes);
    await server.close();
    await until(() => files.sockets.sockets.size === 0);
  });

  test("the kernel whose sockets it has stops: every session ends, and close() settles", async () => {
    const cable = new Cable();
    const [front, far] = await Promise.all([
      peer(cable.a, "10.1.0.1/24"),
      peer(cable.b, "10.1.0.2/24"),
    ]);
    const processes = files.kernel.processes.size;
    // One kernel has the files, another one the network.
    const errors: unknown[] = [];
    const server = await serve(files, {
      net: front.sockets.net,
      host: "10.1.0.1",
      onError: (error) => errors.push(error),
    });
    using client = await Client.login(server, USER, callBy(far.sockets));
    assert.equal(files.kernel.processes.size, processes + 1);
    await client.push("STOR seen", "by both");
    const seen = await readFile(files.kernel.init, `${ROOT}/seen`);
    assert.equal(Buffer.from(seen).toString(), "by both");
    front.kernel.dispose();
    await quiet(server, files.kernel, processes);
    await server.close();
    far.kernel.dispose();
  });
});

suite("FTP through the NAT", () => {
  const folder = temporaryFolder();
  let nat: HostNat;
  let files: Peer;
  before(async () => {
    nat = hostNat({ nameservers: [] });
    files = await peer(nat.port, "10.0.2.15/24");
    await using network = net(files.kernel);
    await network.route.add({ destination: "default", gateway: nat.gateway });
    await mountNew(files.kernel, folder.path);
  });
  after(async () => {
    await files.sockets[Symbol.asyncDispose]();
    await files.kernel.halt();
    await nat.close();
    folder[Symbol.dispose]();
  });

  /** A port that leads to the same one of the guest: a data port is told by its number. */
  async function forward(): Promise<number> {
    for (;;) {
      const free = await nat.forwardPort({ hostPort: 0, guestPort: 1 });
      await free.close();
      try {
        const { port } = await nat.forwardPort({ hostPort: free.port, guestPort: free.port });
        return port;
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
      }
    }
  }

  test("curl and lftp of this machine, by PASV and EPSV", async () => {
    const [control, data] = [await forward(), await forward()];
    const server = await serve(files, {
      host: "0.0.0.0",
      port: control,
      passivePorts: [data, data],
      publicAddress: "127.0.0.1",
    });
    const base = `ftp://${USER.name}:${encodeURIComponent(USER.password)}@127.0.0.1:${control}`;
    const content = noise(2 << 20, 5);
    const [own, copy] = [join(folder.path, "own"), join(folder.path, "copy")];
    writeFileSync(own, content);
    for (const way of [["--disable-epsv"], ["--disable-eprt"]]) {
      await succeed("curl", "-sS", ...way, "-T", own, `${base}/by-curl`);
      assert.equal(digest(await readFile(files.kernel.init, `${ROOT}/by-curl`)), digest(content));
      await succeed("curl", "-sS", ...way, "-o", copy, `${base}/by-curl`);
      assert.equal(digest(readFileSync(copy)), digest(content));
    }
    const script = `set cmd:fail-exit yes; set net:max-retries 1; open ${base}; put ${own} -o by-lftp; cls -1; cat by-lftp`;
    const listed = await succeed("lftp", "-c", script);
    assert.match(String(listed.subarray(0, 64)), /by-curl/);
    assert.equal(digest(listed.subarray(-content.length)), digest(content));
    await server.close();
    await until(() => files.sockets.sockets.size === 0);
  });
});
