// Which ranges of a disk are of which kind.
//
// Invariants: #extents is sorted; extents are not empty, do not overlap, and two that touch are of
// different kinds. #bytes is the sum of their lengths.

/** From its first byte to the byte after its last one. */
export interface Extent<Kind> {
  readonly start: number;
  readonly end: number;
  readonly kind: Kind;
}

/** As large as there are extents, not as the ranges: a range of any length costs the same. */
export class ExtentMap<Kind> {
  #extents: Extent<Kind>[] = [];
  #bytes = 0;

  /** How many bytes are of any kind. */
  get bytes(): number {
    return this.#bytes;
  }

  /** In order of their place. They stay as they are when the map changes. */
  list(): Extent<Kind>[] {
    return this.#extents.slice();
  }

  /** Make a range of one kind, or with `undefined` of none. */
  set(start: number, end: number, kind: Kind | undefined): void {
    if (start >= end) return;
    const first = this.#firstEndingFrom(start);
    let last = first;
    while (last < this.#extents.length && this.#extents[last].start <= end) last++;
    const parts: Extent<Kind>[] = [];
    let from = start;
    let to = end;
    for (const extent of this.#extents.slice(first, last)) {
      if (extent.kind === kind) {
        from = Math.min(from, extent.start);
        to = Math.max(to, extent.end);
      } else {
        if (extent.start < start) parts.push({ ...extent, end: Math.min(extent.end, start) });
        if (extent.end > end) parts.push({ ...extent, start: Math.max(extent.start, end) });
      }
    }
    if (kind !== undefined) parts.push({ start: from, end: to, kind });
    parts.sort((a, b) => a.start - b.start);
    for (const extent of this.#extents.splice(first, last - first, ...parts))
      this.#bytes -= extent.end - extent.start;
    for (const extent of parts) this.#bytes += extent.end - extent.start;
  }

  clear(): void {
    this.#extents = [];
    this.#bytes = 0;
  }

  /** All of a range in order, in parts of one kind or none. */
  runs(start: number, end: number): Extent<Kind | undefined>[] {
    const runs: Extent<Kind | undefined>[] = [];
    let at = start;
    for (let i = this.#firstEndingFrom(start + 1); at < end; i++) {
      const extent = this.#extents[i] as Extent<Kind> | undefined;
      const from = Math.min(end, extent?.start ?? end);
      if (from > at) runs.push({ start: at, end: from, kind: undefined });
      at = Math.max(at, from);
      if (!extent || at >= end) break;
      const to = Math.min(end, extent.end);
      runs.push({ start: at, end: to, kind: extent.kind });
      at = to;
    }
    return runs;
  }

  /** The number of the first extent that ends at a place or beyond it. */
  #firstEndingFrom(place: number): number {
    let low = 0;
    let high = this.#extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#extents[middle].end < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
