// How large a disk would have to be.

/**
 * Between a number that does not fit and one that does: one that fits, next to one that does not. It is
 * the least (or, from above, the greatest) where more (less) always fits better.
 */
export function boundary(
  misfitting: number,
  fitting: number,
  fits: (count: number) => boolean,
): number {
  let bad = misfitting;
  let good = fitting;
  while (Math.abs(good - bad) > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (fits(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** The least number above one that does not fit, that does; at most `most`, whether it fits or not. */
export function leastFitting(
  misfitting: number,
  most: number,
  fits: (count: number) => boolean,
): number {
  let bad = misfitting;
  let good = Math.min(most, 2 * misfitting + 1);
  while (good < most && !fits(good)) {
    bad = good;
    good = Math.min(most, 2 * good);
  }
  return boundary(bad, good, fits);
}
