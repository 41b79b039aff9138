// A TAP device of the host (Linux, root): the host's own network stack is at the other end.
//
// Node can open /dev/net/tun, but not say by ioctl(2) which device it is for. A helper does that, in Perl,
// which every Debian has, and passes frames between the device and two pipes, each behind its length and
// with the header of virtio, so that segments of 64 KiB pass uncut in both directions.

import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";

import { VIRTIO_NET_HDR_F_NEEDS_CSUM } from "../../abi/constants/virtio.ts";
import { VirtioNetHdr } from "../../abi/structs/virtio.ts";
import { LinkError } from "../../link/errors.ts";
import type { LinkErrorCode } from "../../link/errors.ts";
import { Frame, MAX_FRAME_BYTES } from "../../link/frame.ts";
import { FrameReader, LENGTH_BYTES } from "../../link/stream-frames.ts";
import { Uplink } from "../../link/uplink.ts";
import type { UplinkOptions } from "../../link/uplink.ts";
import { InvalidOptionError } from "../../machine/errors.ts";

export interface TapLinkOptions extends UplinkOptions {
  /** The device: one that is there, or a new one, which goes when the link ends. */
  readonly device: string;
  /** The network namespace that it is in, by its name in `ip netns`. Default: the process's own. */
  readonly netns?: string;
}

/** Length of a device's name, without its NUL (IFNAMSIZ in linux/if.h). */
const MAX_NAME_BYTES = 15;
const HEADER = VirtioNetHdr.offsets;
const HEADER_BYTES = VirtioNetHdr.size;
/** csum_start and csum_offset, which the structure has in a union. */
const CHECKSUM_START = HEADER.gso_size + 2;

/**
 * Says "ok", or the number of an error and what failed. Numbers are those of linux/if_tun.h: TUNSETIFF with
 * IFF_TAP, IFF_NO_PI and IFF_VNET_HDR; TUNSETOFFLOAD with TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN,
 * which old kernels know, too.
 */
const HELPER = `
use strict;
use Errno qw(EAGAIN);
use Fcntl;
$SIG{PIPE} = sub { exit 0 };
sub fail { syswrite(STDOUT, pack("N/a*", ($! + 0) . " " . $_[0] . ": $!")); exit 1 }
sysopen(my $tap, "/dev/net/tun", 2) or fail("open /dev/net/tun");
my $request = pack("a16 S x22", $ARGV[0], 0x5002);
ioctl($tap, 0x400454ca, $request) or fail("TUNSETIFF");
ioctl($tap, 0x400454d0, 0x0f) or fail("TUNSETOFFLOAD");
syswrite(STDOUT, pack("N/a*", "ok"));
my ($in, $out, $data, $sent) = ("", "", "", 0);
my ($tapfd, $infd, $outfd) = (fileno($tap), fileno(STDIN), fileno(STDOUT));
for my $file ($tap, *STDIN, *STDOUT) { fcntl($file, F_SETFL, O_NONBLOCK | fcntl($file, F_GETFL, 0)) }
for (;;) {
  my ($reads, $writes) = ("", "");
  vec($reads, $infd, 1) = 1;
  vec($reads, $tapfd, 1) = 1 if length($out) < 262144;
  vec($writes, $outfd, 1) = 1 if length($out);
  select($reads, $writes, undef, undef) < 0 and next;
  if (vec($reads, $infd, 1)) {
    my $count = sysread(STDIN, $in, 262144, length($in));
    exit 0 if defined($count) && $count == 0;
    my $at = 0;
    while (length($in) - $at >= 4) {
      my $length = unpack("N", substr($in, $at, 4));
      last if length($in) - $at - 4 < $length;
      syswrite($tap, $in, $length, $at + 4);
      $at += 4 + $length;
    }
    substr($in, 0, $at) = "";
  }
  if (vec($reads, $tapfd, 1)) {
    for (1 .. 64) {
      my $count = sysread($tap, $data, 70000);
      last if !defined($count) && $! == EAGAIN;
      die "the device is gone: $!\\n" unless defined $count;
      $out .= pack("N", $count) . $data;
      last if length($out) > 262144;
    }
  }
  if (length($out)) {
    my $count = syswrite(STDOUT, $out, length($out) - $sent, $sent);
    $sent += $count if defined $count;
    if ($sent == length($out)) { ($out, $sent) = ("", 0) }
  }
}
`;

const NO_RIGHT = "it takes root (CAP_NET_ADMIN), or a device that root has made for this user";

/** By the number of the error that the helper met. */
const PROBLEMS: Readonly<
  Record<number, readonly [code: LinkErrorCode, cure: (device: string) => string]>
> = {
  1: ["EACCES", (device) => `${NO_RIGHT}: ip tuntap add dev ${device} mode tap user NAME`],
  2: ["ENOENT", () => "this system has no /dev/net/tun: load the module tun, or make the device"],
  13: ["EACCES", () => "the rights of /dev/net/tun do not let this user open it: it takes root"],
  16: ["EBUSY", (device) => `somebody else uses ${device}: choose another name`],
  19: ["ENOENT", () => "this system has no TAP devices: its kernel lacks CONFIG_TUN"],
  22: ["EINVAL", (device) => `${device} is not, and cannot be, a TAP device: choose another name`],
};

/** What `ip netns exec` complains about when it cannot begin. */
const NETNS_PROBLEMS: readonly (readonly [
  what: RegExp,
  code: LinkErrorCode,
  problem: (netns: string) => string,
])[] = [
  [
    /No such file/,
    "ENOENT",
    (netns) => `there is no network namespace "${netns}": ip netns add ${netns} makes it`,
  ],
  [
    /make-rslave/,
    "ENOTSUP",
    (netns) =>
      `"ip netns exec ${netns}" cannot mount a /sys of its own: the root directory is no mount, as in a chroot`,
  ],
  [
    /not permitted|Permission denied/,
    "EACCES",
    (netns) => `only root (CAP_SYS_ADMIN) may enter the network namespace "${netns}"`,
  ],
];

const isName = (name: string): boolean => /^[^\s/]+$/.test(name) && !/^\.\.?$/.test(name);

type Helper = ChildProcessByStdio<Writable, Readable, Readable>;

export class TapLink extends Uplink {
  readonly #helper: Helper;
  readonly #reader = new FrameReader(HEADER_BYTES + MAX_FRAME_BYTES);
  readonly #answer = Promise.withResolvers<void>();
  readonly #options: TapLinkOptions;
  #open = false;
  #complaint = "";

  /**
   * @throws {LinkError} EACCES without the right to, ENOENT without such a thing, EBUSY if it is in use,
   * EINVAL if it is no TAP device, ENOTSUP without Perl @throws {InvalidOptionError}
   */
  static async open(options: TapLinkOptions): Promise<TapLink> {
    const { device, netns } = options;
    if (!isName(device) || Buffer.byteLength(device) > MAX_NAME_BYTES)
      throw new InvalidOptionError(
        "device",
        `"${device}": 1 to ${MAX_NAME_BYTES} bytes, no spaces or slashes`,
      );
    if (netns !== undefined && !isName(netns))
      throw new InvalidOptionError("netns", `"${netns}": a name without spaces or slashes`);
    const command = ["perl", "-e", HELPER, "--", device];
    if (netns !== undefined) command.unshift("ip", "netns", "exec", netns);
    const [program, ...rest] = command;
    // In English, as what the program complains about is looked at.
    const env = { ...process.env, LC_ALL: "C" };
    const helper = spawn(program, rest, { env, stdio: ["pipe", "pipe", "pipe"] });
    const link = new TapLink(helper, options);
    try {
      await link.#answer.promise;
    } catch (error) {
      await link.close();
      throw error;
    }
    link.opened();
    return link;
  }

  private constructor(helper: Helper, options: TapLinkOptions) {
    super(options.device, options);
    this.#helper = helper;
    this.#options = options;
    helper.stdout.on("data", (piece) => this.#read(piece));
    helper.stderr.on("data", (text) => {
      this.#complaint = `${this.#complaint}${text}`.slice(0, 1000);
    });
    helper.stdin.on("drain", () => this.drained());
    // Whoever hears of the end of the helper hears of this, too.
    helper.stdin.on("error", () => {});
    helper.on("error", (error) => this.#over(this.#notRun(error)));
    helper.on("close", (code, signal) => this.#over(this.#whyEnded(code ?? signal)));
  }

  #over(error: LinkError): void {
    if (this.#open) this.fail(error);
    else this.#answer.reject(error);
  }

  #notRun(error: Error): LinkError {
    const { spawnfile } = this.#helper;
    return new LinkError(
      "ENOTSUP",
      `TAP devices need the program ${spawnfile}, which cannot be run here: ${error.message}`,
      error,
    );
  }

  #whyEnded(how: number | string | null): LinkError {
    const { device, netns } = this.#options;
    const complaint = this.#complaint.trim();
    const problem = complaint || `the helper for ${device} was ended: ${how}`;
    if (this.#open) return new LinkError("EIO", problem);
    if (netns !== undefined)
      for (const [what, code, said] of NETNS_PROBLEMS)
        if (what.test(complaint)) return new LinkError(code, said(netns));
    return new LinkError("ENOTSUP", problem);
  }

  #read(piece: Uint8Array): void {
    try {
      let goOn = true;
      for (const bytes of this.#reader.read(piece)) {
        if (this.#open) goOn = this.#receive(bytes);
        else this.#start(new TextDecoder().decode(bytes));
      }
      if (!goOn) this.#helper.stdout.pause();
    } catch (error) {
      this.fail(error as LinkError);
    }
  }

  #start(answer: string): void {
    if (answer === "ok") {
      this.#open = true;
      this.#answer.resolve();
      return;
    }
    const { device } = this.#options;
    const [code, cure] = PROBLEMS[parseInt(answer, 10)] ?? ["EIO", () => "see the host's log"];
    const problem = answer.slice(answer.indexOf(" ") + 1);
    this.#over(new LinkError(code, `TAP device ${device}: ${problem}: ${cure(device)}`));
  }

  #receive(bytes: Uint8Array): boolean {
    if (bytes.length < HEADER_BYTES) return true;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const frame = Frame.of(bytes.subarray(HEADER_BYTES));
    frame.needsChecksum = (bytes[HEADER.flags] & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
    frame.gsoType = bytes[HEADER.gso_type];
    frame.headerBytes = view.getUint16(HEADER.hdr_len, true);
    frame.gsoSize = view.getUint16(HEADER.gso_size, true);
    frame.checksumStart = view.getUint16(CHECKSUM_START, true);
    frame.checksumOffset = view.getUint16(CHECKSUM_START + 2, true);
    return this.arrived(frame);
  }

  protected override get takesOffload(): boolean {
    return true;
  }

  protected override more(): void {
    this.#helper.stdout.resume();
  }

  protected override get backlogBytes(): number {
    return this.#helper.stdin.writableLength;
  }

  protected override transmit(frame: Frame): void {
    const bytes = new Uint8Array(LENGTH_BYTES + HEADER_BYTES + frame.lengthBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, HEADER_BYTES + frame.lengthBytes);
    const header = new DataView(bytes.buffer, LENGTH_BYTES);
    header.setUint8(HEADER.flags, frame.needsChecksum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
    header.setUint8(HEADER.gso_type, frame.gsoType);
    header.setUint16(HEADER.hdr_len, frame.headerBytes, true);
    header.setUint16(HEADER.gso_size, frame.gsoSize, true);
    header.setUint16(CHECKSUM_START, frame.checksumStart, true);
    header.setUint16(CHECKSUM_START + 2, frame.checksumOffset, true);
    frame.copyTo(bytes, LENGTH_BYTES + HEADER_BYTES);
    this.#helper.stdin.write(bytes);
  }

  protected override async release(): Promise<void> {
    const { exitCode, signalCode } = this.#helper;
    if (exitCode !== null || signalCode !== null || this.#helper.pid === undefined) return;
    const gone = new Promise<void>((resolve) => this.#helper.once("exit", () => resolve()));
    this.#helper.kill();
    await gone;
  }
}
