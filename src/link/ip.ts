// Addresses of IP as text, and in bytes.

/** The four bytes of "10.0.0.1"; undefined if it is no such address. */
export function ipv4Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split(".");
  // A leading 0 is octal to some: it is refused.
  if (parts.some((part) => Number(part) > 255 || (part.length > 1 && part.startsWith("0"))))
    return undefined;
  return Uint8Array.from(parts, Number);
}

/** The sixteen bytes of "fe80::1" (RFC 4291, section 2.2); undefined if it is no such address. */
export function ipv6Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  const dotted = /^(.*:)(\d[\d.]*\.\d[\d.]*)$/.exec(text);
  if (dotted) {
    const last = ipv4Bytes(dotted[2]);
    if (!last) return undefined;
    const words = [(last[0] << 8) | last[1], (last[2] << 8) | last[3]];
    return ipv6Bytes(dotted[1] + words.map((word) => word.toString(16)).join(":"));
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const groups = head.length + tail.length;
  if (halves.length === 2 ? groups > 7 : groups !== 8) return undefined;
  if (![...head, ...tail].every((part) => /^[\da-f]{1,4}$/i.test(part))) return undefined;
  const words = [...head, ...new Array<string>(8 - groups).fill("0"), ...tail];
  return Uint8Array.from(words.flatMap((word) => [parseInt(word, 16) >> 8, parseInt(word, 16)]));
}

/** The text of sixteen bytes. RFC 5952: the longest run of zeroes is "::". */
export function formatIpv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff)
    return `::ffff:${bytes.subarray(12).join(".")}`;
  let from = -1;
  let length = 1;
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && words[end] === 0) end++;
    if (end - start > length) [from, length] = [start, end - start];
  }
  const hex = words.map((word) => word.toString(16));
  if (from < 0) return hex.join(":");
  return `${hex.slice(0, from).join(":")}::${hex.slice(from + length).join(":")}`;
}
