// The name that a member of an archive has in the directory where it is unpacked.

const SLASH = 0x2f;

export class MemberName {
  /** Absolute, in the jail. */
  readonly path: Buffer;

  /** @returns null if nothing is left when so many directories are stripped */
  static of(raw: Uint8Array, strip: number): MemberName | null {
    const parts: Buffer[] = [];
    for (let at = 0; at <= raw.length;) {
      const end = raw.indexOf(SLASH, at);
      const part = Buffer.from(raw.subarray(at, end < 0 ? raw.length : end));
      at = end < 0 ? raw.length + 1 : end + 1;
      if (part.equals(Buffer.from(".."))) throw new Error('a name with "..": left out');
      if (part.length && !part.equals(Buffer.from("."))) parts.push(part);
    }
    if (strip && parts.length <= strip) return null;
    return new MemberName(parts.slice(strip));
  }

  private constructor(parts: readonly Buffer[]) {
    const slash = Buffer.from("/");
    this.path = parts.length ? Buffer.concat(parts.flatMap((part) => [slash, part])) : slash;
  }

  get isTop(): boolean {
    return this.path.length === 1;
  }

  get parent(): Buffer {
    return this.path.subarray(0, Math.max(1, this.path.lastIndexOf(SLASH)));
  }

  /** A name beside it. */
  beside(name: string): Buffer {
    return Buffer.concat([
      this.path.subarray(0, this.path.lastIndexOf(SLASH) + 1),
      Buffer.from(name),
    ]);
  }
}
