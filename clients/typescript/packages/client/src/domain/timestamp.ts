const MS_PER_SECOND = 1000;
const NANOS_PER_MS = 1_000_000;
const NANOS_MAX = 999_999_999;
/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
const SECONDS_MIN = -62_135_596_800;
const SECONDS_MAX = 253_402_300_799;
const RFC_3339 = /^(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * A point in time, to the nanosecond: a `Date` would lose what is below a millisecond when a value is read and written
 * again. Immutable; between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z.
 */
export class Timestamp {
  /** Throws a `RangeError` when it is outside of what a timestamp can be. */
  constructor(
    /** Whole seconds since 1970-01-01T00:00:00Z; negative before. */
    readonly seconds: number,
    /** Nanoseconds after that second: 0 to 999,999,999. */
    readonly nanos: number = 0,
  ) {
    const fits = Number.isInteger(seconds) && seconds >= SECONDS_MIN && seconds <= SECONDS_MAX;
    if (!fits || !Number.isInteger(nanos) || nanos < 0 || nanos > NANOS_MAX) {
      throw new RangeError(`${seconds} s and ${nanos} ns are not a point in time between the years 1 and 9999`);
    }
  }

  /** Of a `Date`, or of text in the form of RFC 3339 such as `2026-03-01T12:00:00.123456789Z`. Throws a `RangeError`. */
  static from(time: Date | string): Timestamp {
    if (time instanceof Date) {
      const ms = time.getTime();
      const seconds = Math.floor(ms / MS_PER_SECOND);
      return new Timestamp(seconds, (ms - seconds * MS_PER_SECOND) * NANOS_PER_MS);
    }
    const [, second = '', fraction = '', zone = ''] = RFC_3339.exec(time) ?? [];
    return new Timestamp(Date.parse(`${second}${zone}`.toUpperCase()) / MS_PER_SECOND, Number(fraction.padEnd(9, '0')));
  }

  /** Without what is below a millisecond. */
  toDate(): Date {
    return new Date(this.seconds * MS_PER_SECOND + Math.floor(this.nanos / NANOS_PER_MS));
  }

  /** In the form of RFC 3339, in UTC, with as many digits as it takes. */
  toString(): string {
    const second = new Date(this.seconds * MS_PER_SECOND).toISOString().slice(0, -5);
    const fraction = this.nanos === 0 ? '' : `.${String(this.nanos).padStart(9, '0').replace(/0+$/, '')}`;
    return `${second}${fraction}Z`;
  }

  toJSON(): string {
    return this.toString();
  }
}
