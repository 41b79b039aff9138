// Captures: read by tshark, without a malformed packet.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { VirtualClock } from "../src/index.ts";
import { Cable, Capture, EmulatedLink, Switch } from "../src/link/index.ts";
import type { CaptureSink } from "../src/link/index.ts";
import { CaptureFile } from "../src/platform/node/index.ts";
import { Host, Listener, connected, ethernet, pattern } from "./link-support.ts";

const folder = mkdtempSync(join(tmpdir(), "liblinux-capture-"));
after(() => rmSync(folder, { recursive: true }));

/** Fields of each frame, one line a frame. */
function tshark(file: string, ...options: string[]): string[] {
  const text = execFileSync("tshark", ["-r", file, ...options], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 256 << 20,
  });
  return text.trimEnd().split("\n").filter(Boolean);
}

const fields = (file: string, ...names: string[]) =>
  tshark(file, "-T", "fields", ...names.flatMap((name) => ["-e", name]));

const CHECKED = ["tcp", "udp", "ip"].flatMap((one) => ["-o", `${one}.check_checksum:TRUE`]);

test("what two kernels say to each other, captured at both ends of a cable", async () => {
  const cable = new Cable();
  const [whole, cut] = [join(folder, "whole.pcapng"), join(folder, "cut.pcapng")];
  const options = {
    comment: "two kernels",
    names: { "10.0.0.1": "alice.example", "10.0.0.2": "bob.example" },
  };
  const captures = [
    new Capture(new CaptureFile(whole), options),
    new Capture(new CaptureFile(cut), { ...options, cut: true }),
  ];
  for (const capture of captures) {
    capture.add(cable.a, { name: "alice", comment: "this end" });
    capture.add(cable.b, {
      name: "bob",
      describe: (frame, direction) =>
        frame.lengthBytes > 10_000 ? `long, ${direction}` : undefined,
    });
  }
  const [a, b] = await Promise.all([
    Host.boot("10.0.0.1", { port: cable.a }),
    Host.boot("10.0.0.2", { port: cable.b }),
  ]);
  const [mine, theirs] = await connected(a, b, 50_007); // A port that tshark has no protocol for.
  const data = pattern(1 << 20);
  await Promise.all([a.send(mine, data), b.receive(theirs, data.length)]);
  const udp = await a.udp();
  await a.sendTo(udp, "10.0.0.2", 9, pattern(5000));
  await Promise.all([a.kernel.halt(), b.kernel.halt()]);
  for (const capture of captures) {
    await capture.close();
    assert.equal(capture.droppedFrames, 0);
  }
  for (const file of [whole, cut]) {
    assert.deepEqual(tshark(file, "-Y", "_ws.malformed"), []);
    const names = new Set(fields(file, "frame.interface_name"));
    assert.deepEqual([...names].toSorted(), ["alice", "bob"]);
    assert.ok(tshark(file, "-N", "n").some((line) => line.includes("alice.example")));
    // All that was sent at one end was received at the other.
    const per = (name: string, direction: number) =>
      tshark(
        file,
        "-Y",
        `frame.interface_name == "${name}" && frame.packet_flags_direction == ${direction}`,
      ).length;
    assert.equal(per("alice", 2), per("bob", 1));
    assert.equal(per("alice", 1), per("bob", 2));
    // The data of the stream, put together again.
    const stream = tshark(file, "-q", "-z", "follow,tcp,raw,0");
    assert.ok(
      stream.some((line) => line.includes(Buffer.from(data.subarray(0, 64)).toString("hex"))),
    );
  }
  assert.ok(fields(whole, "frame.comment").some((line) => line === "long, received"));
  const lengths = (file: string) => fields(file, "frame.len").map(Number);
  assert.ok(Math.max(...lengths(whole)) > 30_000);
  assert.ok(Math.max(...lengths(cut)) <= 1514);
  // Real frames have real checksums: none is wrong.
  const wrong = "tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0";
  assert.deepEqual(tshark(cut, ...CHECKED, "-Y", wrong), []);
  assert.ok(tshark(cut, ...CHECKED, "-Y", "tcp.checksum.status == 1").length > 700);
});

test("times are those of the kernels' clock", async () => {
  const clock = new VirtualClock({ epochMs: 1_000_000_000_000 });
  const link = new EmulatedLink({ clock, delayMs: 7 });
  const [a] = [new Listener(link.a), new Listener(link.b)];
  const file = join(folder, "times.pcapng");
  const capture = new Capture(new CaptureFile(file), { clock });
  capture.add(link.a);
  capture.add(link.b);
  const frame = ethernet("02:00:00:00:00:02", "02:00:00:00:00:01", 0x88b5);
  a.send(frame);
  await clock.advance(1e9);
  a.send(frame);
  await clock.advance(1e9);
  await capture.close();
  assert.deepEqual(
    fields(file, "frame.time_epoch", "frame.interface_name").map((line) => line.replace("\t", " ")),
    [
      "1000000000.000000000 a",
      "1000000000.007000000 b",
      "1000000001.000000000 a",
      "1000000001.007000000 b",
    ],
  );
});

test("files rotate, by size and by time, and the oldest go", async () => {
  const clock = new VirtualClock();
  const center = new Switch({ clock });
  const port = center.port("watched");
  const [a] = [new Listener(center.port()), new Listener(port)];
  const path = join(folder, "rotating.pcapng");
  const capture = new Capture(new CaptureFile(path, { keep: 3 }), {
    clock,
    rotateBytes: 10_000,
    rotateMs: 60_000,
    snapBytes: 100,
    comment: "all of them",
  });
  capture.add(port);
  const frame = ethernet("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01", 0x88b5, pattern(1000));
  for (let i = 0; i < 500; i++) a.send(frame);
  await clock.advance(61e9);
  a.send(frame);
  await capture.close();
  const files = readdirSync(folder).filter((name) => name.startsWith("rotating"));
  assert.equal(files.length, 3, files.join());
  const [last, before] = files.toSorted().toReversed();
  assert.equal(fields(join(folder, last), "frame.len").length, 1);
  for (const line of fields(
    join(folder, before),
    "frame.len",
    "frame.cap_len",
    "frame.interface_name",
  ))
    assert.equal(line, "1014\t100\twatched");
});

/** A sink that can fail, or take its time. */
class Sink implements CaptureSink {
  bytes = 0;
  closed = 0;
  wait: Promise<void> | null = null;
  error: Error | null = null;

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    await this.wait;
    if (this.error) throw this.error;
    this.bytes += pieces.reduce((sum, { length }) => sum + length, 0);
  }

  close(): void {
    this.closed++;
  }
}

test("a disk that is full ends the capture, with a clear error, and nothing else", async () => {
  const cable = new Cable();
  const [a, b] = [new Listener(cable.a), new Listener(cable.b)];
  const sink = new Sink();
  const errors: unknown[] = [];
  const capture = new Capture(sink, { onError: (error) => errors.push(error) });
  capture.add(cable.a);
  sink.error = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  a.send(ethernet("02:00:00:00:00:02", "02:00:00:00:00:01", 0x88b5));
  await assert.rejects(capture.close(), { code: "ENOSPC", message: /no space left/ });
  assert.deepEqual(errors, [capture.error]);
  assert.equal(sink.closed, 1);
  a.send(ethernet("02:00:00:00:00:02", "02:00:00:00:00:01", 0x88b5));
  assert.equal(b.frames.length, 2);
  await assert.rejects(
    async () => {
      const full = new Capture(new CaptureFile("/dev/full"));
      await full.close();
    },
    { code: "ENOSPC" },
  );
  await assert.rejects(
    async () => {
      const nowhere = new Capture(new CaptureFile(join(folder, "no", "such", "folder")));
      await nowhere.close();
    },
    { code: "EIO", message: /ENOENT/ },
  );
});

test("a sink that is too slow misses frames, and says how many", async () => {
  const cable = new Cable();
  const [a] = [new Listener(cable.a), new Listener(cable.b)];
  const sink = new Sink();
  const { promise, resolve } = Promise.withResolvers<void>();
  sink.wait = promise;
  const capture = new Capture(sink, { maxQueuedBytes: 10_000 });
  capture.add(cable.a);
  const frame = ethernet("02:00:00:00:00:02", "02:00:00:00:00:01", 0x88b5, pattern(900));
  for (let i = 0; i < 100; i++) a.send(frame);
  assert.ok(capture.droppedFrames > 80 && capture.droppedFrames < 100);
  resolve();
  await capture.close();
  assert.ok(sink.bytes < 20_000);
});

test("options that cannot be are refused", () => {
  const sink = new Sink();
  const wrong = [
    { snapBytes: 10 },
    { rotateBytes: 100 },
    { maxQueuedBytes: 0 },
    { names: { nobody: "x" } },
  ];
  for (const options of wrong)
    assert.throws(() => new Capture(sink, options), { code: "ERR_INVALID_OPTION" });
  assert.equal(existsSync(join(folder, "nothing")), false);
});
