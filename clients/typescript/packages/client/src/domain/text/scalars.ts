/**
 * Texts are JavaScript strings; positions count Unicode scalar values. Almost all texts have no surrogate pairs, and
 * then the two are the same.
 */
const SURROGATE = /[\ud800-\udfff]/;

/** Distance between two entries of the index of a text with surrogate pairs. */
const MARK_SCALARS = 128;

/** Number of scalar values. */
export function scalarCount(text: string): number {
  return SURROGATE.test(text) ? countPairs(text) : text.length;
}

function countPairs(text: string): number {
  let count = 0;
  for (let unit = 0; unit < text.length; unit += unitsAt(text, unit)) count++;
  return count;
}

function unitsAt(text: string, unit: number): number {
  return (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
}

/** A text that is addressed by scalar values, quickly and often. Positions beyond the end mean the end. */
export class ScalarText {
  readonly length: number;
  /** Units at every MARK_SCALARSth scalar; undefined without surrogate pairs. */
  private readonly marks: readonly number[] | undefined;

  constructor(readonly text: string) {
    if (!SURROGATE.test(text)) {
      this.length = text.length;
      return;
    }
    const marks: number[] = [];
    let count = 0;
    for (let unit = 0; unit < text.length; unit += unitsAt(text, unit)) {
      if (count % MARK_SCALARS === 0) marks.push(unit);
      count++;
    }
    this.length = count;
    this.marks = marks;
  }

  /** The UTF-16 unit at which a scalar begins. */
  unitOf(position: number): number {
    if (position >= this.length) return this.text.length;
    if (this.marks === undefined) return position;
    let unit = this.marks[Math.floor(position / MARK_SCALARS)] ?? 0;
    for (let left = position % MARK_SCALARS; left > 0; left--) unit += unitsAt(this.text, unit);
    return unit;
  }

  slice(from: number, to: number): string {
    return from <= 0 && to >= this.length ? this.text : this.text.slice(this.unitOf(from), this.unitOf(to));
  }
}

/** Whether a cut at this unit would go through a surrogate pair. */
export function splitsPair(text: string, unit: number): boolean {
  if (unit <= 0 || unit >= text.length) return false;
  const before = text.charCodeAt(unit - 1);
  const after = text.charCodeAt(unit);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}
