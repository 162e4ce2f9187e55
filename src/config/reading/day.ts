// A day as the last one on which something counts, in UTC.

const DAY_MS = 24 * 3_600_000;

/** When such a day, as `2027-06-30`, has passed; in milliseconds since the epoch. */
export function endOfDay(day: string): number {
  return Date.parse(day) + DAY_MS;
}
