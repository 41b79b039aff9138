// The FTP server's parts that need no kernel: lines, line ends, times, options.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import fc from "fast-check";

import { FromNetwork, toNetwork } from "../src/ftp/ascii.ts";
import { LineReader, MAX_LINE_BYTES } from "../src/ftp/lines.ts";
import { checkOptions } from "../src/ftp/options.ts";
import { encodeReply, join, quoted, reply } from "../src/ftp/reply.ts";
import { listed, parseStamp, stamp } from "../src/ftp/times.ts";
import { InvalidOptionError } from "../src/index.ts";

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

/** Cut into pieces at these places. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  places.sort((a, b) => a - b);
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

function fromNetwork(parts: readonly Uint8Array[]): Buffer {
  const lines = new FromNetwork();
  return join(...parts.map((part) => lines.push(part)), lines.end());
}

suite("TYPE A", () => {
  const breaks = fc.array(fc.constantFrom(10, 13, 65), { maxLength: 40 });
  const content = breaks.map((bytes) => Uint8Array.from(bytes));

  test("lines end as they should on either side", () => {
    assert.equal(latin1(toNetwork(Buffer.from("a\nb\r\nc\r"))), "a\r\nb\r\r\nc\r");
    assert.equal(latin1(fromNetwork([Buffer.from("a\r\nb\nc\r\rd\r\n\r")])), "a\nb\nc\r\rd\n\r");
  });

  test("what goes out comes back, in whatever pieces", () => {
    fc.assert(
      fc.property(content, fc.array(fc.nat()), (bytes, cuts) => {
        assert.deepEqual(fromNetwork(pieces(toNetwork(bytes), cuts)), Buffer.from(bytes));
      }),
    );
  });

  test("pieces are as the whole", () => {
    fc.assert(
      fc.property(content, fc.array(fc.nat()), (bytes, cuts) => {
        const sent = join(...pieces(bytes, cuts).map(toNetwork));
        assert.deepEqual(sent, Buffer.from(toNetwork(bytes)));
        assert.deepEqual(fromNetwork(pieces(bytes, cuts)), fromNetwork([bytes]));
      }),
    );
  });
});

suite("command lines", () => {
  const read = (...parts: (string | Uint8Array)[]) => {
    const reader = new LineReader();
    return parts.flatMap((part) =>
      reader
        .push(typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))
        .map((line) => line && latin1(line)),
    );
  };

  test("end with CR LF or LF, in whatever pieces", () => {
    assert.deepEqual(read("NO", "OP\r", "\nPWD\nLI", "ST a\rb\r\n", "rest"), [
      "NOOP",
      "PWD",
      "LIST a\rb",
    ]);
  });

  test("that are too long are told, and nothing of them is kept", () => {
    const long = "x".repeat(MAX_LINE_BYTES);
    assert.deepEqual(read(long, "y", long, "\r\nNOOP\r\n"), [null, "NOOP"]);
    assert.deepEqual(read(`${long}\n`), [long]);
    assert.deepEqual(read(`${long}y\nPWD\n`), [null, "PWD"]);
  });

  test("are free of Telnet, but not of names", () => {
    // Interrupt process, and the rest of a synch, whose mark comes out of band.
    assert.deepEqual(read("\xff\xf4\xffABOR\r\n", "\xff\xf4\xff\xf2ABOR\r\n"), ["ABOR", "ABOR"]);
    assert.deepEqual(read("\xff\xfb\x01NOOP\r\n"), ["NOOP"]);
    assert.deepEqual(read("DELE a\xff\xffb\r\n", "DELE a\xffb\xff\r\n"), [
      "DELE a\xffb",
      "DELE a\xffb\xff",
    ]);
  });
});

suite("replies", () => {
  test("are lines, whatever is in them", () => {
    assert.equal(latin1(encodeReply(reply(200, "Yes."))), "200 Yes.\r\n");
    assert.equal(latin1(encodeReply(reply(211, "a", "b", "c"))), "211-a\r\n b\r\n211 c\r\n");
    assert.equal(latin1(encodeReply(reply(250, "a\r\n250 b\0"))), "250 a??250 b?\r\n");
    assert.equal(latin1(encodeReply(reply(250, Uint8Array.of(97, 255)))), "250 a\xff\xff\r\n");
    assert.equal(latin1(quoted(Buffer.from('/a"b'))), '"/a""b"');
  });

  test("there are as many lines as were meant, for any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { minLength: 1, maxLength: 5 }), (lines) => {
        const text = latin1(encodeReply(reply(250, ...lines)));
        assert.equal(text.split("\n").length - 1, lines.length);
        assert.ok(text.endsWith("\r\n"));
      }),
    );
  });
});

suite("times", () => {
  const ns = (iso: string) => BigInt(Date.parse(iso)) * 1_000_000n;

  test("are stamps, and back", () => {
    assert.equal(stamp(ns("2001-02-03T04:05:06Z")), "20010203040506");
    assert.equal(stamp(ns("2001-02-03T04:05:06.700Z")), "20010203040506.700");
    assert.equal(stamp(ns("1969-12-31T23:59:59.500Z")), "19691231235959.500");
    assert.equal(stamp(2n ** 70n), null);
    assert.equal(stamp(-(2n ** 62n) * 30n), null);
    fc.assert(
      fc.property(fc.integer({ min: -62e9, max: 250e9 }), (seconds) => {
        const time = BigInt(seconds) * 1_000_000_000n;
        const text = stamp(time);
        if (text !== null) assert.equal(parseStamp(text), time);
      }),
    );
  });

  test("that make no sense are refused", () => {
    for (const text of ["", "2001", "20010230000000", "20011301000000", "20010101250000", "x"])
      assert.throws(() => parseStamp(text), { code: 501 });
    assert.equal(parseStamp("20010203040506.25"), ns("2001-02-03T04:05:06.250Z"));
  });

  test("are listed with the time of day for half a year", () => {
    const now = ns("2026-06-15T12:00:00Z");
    assert.equal(listed(ns("2026-06-05T01:02:03Z"), now), "Jun  5 01:02");
    assert.equal(listed(ns("2025-06-05T01:02:03Z"), now), "Jun  5  2025");
    assert.equal(listed(ns("2026-06-16T01:02:03Z"), now), "Jun 16  2026");
    assert.equal(listed(2n ** 70n, now), "Jan  1  1970");
  });
});

suite("options", () => {
  const kernel = { init: null, stopped: null, process: null } as never;
  const user = { name: "a", password: "b" };
  const wrong: Record<string, object> = {
    users: {},
    frobs: { users: [user], frobs: 1 },
    port: { users: [user], port: 65536 },
    maxSessions: { users: [user], maxSessions: 0 },
    umask: { users: [user], umask: 0o1000 },
    passivePorts: { users: [user], passivePorts: [20, 10] },
    publicAddress: { users: [user], publicAddress: "::1" },
    idleTimeoutMs: { users: [user], idleTimeoutMs: 1.5 },
  };
  for (const [option, options] of Object.entries(wrong))
    test(`${option}: what it cannot be is told`, () => {
      assert.throws(
        () => checkOptions({ kernel, root: "/", ...options }),
        (error) => error instanceof InvalidOptionError && error.option === option,
      );
    });

  test("names are there once, and on one line", () => {
    for (const users of [[user, user], [{ ...user, name: "" }], [{ ...user, name: "a\nb" }]])
      assert.throws(() => checkOptions({ kernel, root: "/", users }), InvalidOptionError);
  });

  test("what is not given has its default", () => {
    const { host, readOnly, port } = checkOptions({
      kernel,
      root: "/",
      users: [user],
      port: undefined!,
    });
    assert.deepEqual({ host, readOnly, port }, { host: "127.0.0.1", readOnly: true, port: 0 });
  });
});
