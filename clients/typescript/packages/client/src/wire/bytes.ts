/** Protocol Buffers, the lowest layer: as much of it as the protocol's messages use. */

/** How a field's value stands in the bytes. */
export const WIRE = { varint: 0, bits64: 1, length: 2, group: 3, groupEnd: 4, bits32: 5 } as const;

/** Bits of a varint that are read as a number; what is above them is added as a bigint. */
const LOW_BITS = 49;
const VARINT_BYTES_MAX = 10;

const ENCODER = /* @__PURE__ */ new TextEncoder();
const DECODER = /* @__PURE__ */ new TextDecoder();

export class Reader {
  pos = 0;
  readonly len: number;
  private readonly view: DataView;

  constructor(private readonly buffer: Uint8Array) {
    this.len = buffer.length;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  /** Number and wire type of the next field. */
  tag(): readonly [no: number, wireType: number] {
    const tag = this.uint32();
    if (tag < 8) throw new Error('a field has no number');
    return [tag >>> 3, tag & 7];
  }

  skip(wireType: number): void {
    switch (wireType) {
      case WIRE.varint:
        this.uint64();
        break;
      case WIRE.bits64:
        this.advance(8);
        break;
      case WIRE.length:
        this.bytes();
        break;
      case WIRE.group:
        for (let [, type] = this.tag(); type !== WIRE.groupEnd; [, type] = this.tag()) this.skip(type);
        break;
      case WIRE.bits32:
        this.advance(4);
        break;
      default:
        throw new Error(`unknown wire type ${wireType}`);
    }
  }

  /** The low bits of a varint. */
  uint32(): number {
    const first = this.buffer[this.pos] ?? 128;
    if (first < 128) {
      this.pos++;
      return first;
    }
    let value = 0;
    this.varint((bits, shift) => {
      if (shift < 32) value |= bits << shift;
    });
    return value >>> 0;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  uint64(): bigint {
    let [low, high] = [0, 0];
    this.varint((bits, shift) => {
      if (shift < LOW_BITS) low += bits * 2 ** shift;
      else high += bits * 2 ** (shift - LOW_BITS);
    });
    return high === 0 ? BigInt(low) : BigInt.asUintN(64, BigInt(low) + (BigInt(high) << BigInt(LOW_BITS)));
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  sint64(): bigint {
    const zigzag = this.uint64();
    return (zigzag >> 1n) ^ -(zigzag & 1n);
  }

  bool(): boolean {
    return this.uint64() !== 0n;
  }

  fixed64(): bigint {
    return this.view.getBigUint64(this.advance(8), true);
  }

  double(): number {
    return this.view.getFloat64(this.advance(8), true);
  }

  bytes(): Uint8Array {
    const length = this.uint32();
    const from = this.advance(length);
    return this.buffer.subarray(from, from + length);
  }

  string(): string {
    return DECODER.decode(this.bytes());
  }

  private varint(seven: (bits: number, shift: number) => void): void {
    for (let index = 0; index < VARINT_BYTES_MAX; index++) {
      const byte = this.view.getUint8(this.advance(1));
      seven(byte & 127, index * 7);
      if (byte < 128) return;
    }
    throw new Error('a varint is too long');
  }

  /** Where it stood. */
  private advance(bytes: number): number {
    const from = this.pos;
    if (from + bytes > this.len) throw new RangeError('the message ends early');
    this.pos += bytes;
    return from;
  }
}

export class Writer {
  private buffer = new Uint8Array(256);
  private length = 0;
  private readonly forks: number[] = [];

  finish(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  /** Begins a part whose length goes before it; ended by {@link join}. */
  fork(): void {
    this.forks.push(this.length);
  }

  join(): void {
    const from = this.forks.pop() ?? 0;
    const part = this.buffer.slice(from, this.length);
    this.length = from;
    this.bytes(part);
  }

  tag(no: number, wireType: number): void {
    this.varint(no * 8 + wireType);
  }

  uint32(value: number): void {
    if (value !== value >>> 0) throw outOfRange(value);
    this.varint(value);
  }

  int32(value: number): void {
    if (value !== (value | 0)) throw outOfRange(value);
    if (value >= 0) this.varint(value);
    else this.int64(BigInt(value));
  }

  uint64(value: bigint): void {
    if (value !== BigInt.asUintN(64, value)) throw outOfRange(value);
    let rest = value;
    for (; rest > Number.MAX_SAFE_INTEGER; rest >>= 7n) this.byte(Number(rest & 127n) | 128);
    this.varint(Number(rest));
  }

  int64(value: bigint): void {
    if (value !== BigInt.asIntN(64, value)) throw outOfRange(value);
    this.uint64(BigInt.asUintN(64, value));
  }

  sint64(value: bigint): void {
    if (value !== BigInt.asIntN(64, value)) throw outOfRange(value);
    this.uint64(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  bool(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  fixed64(value: bigint): void {
    if (value !== BigInt.asUintN(64, value)) throw outOfRange(value);
    const at = this.room(8);
    new DataView(this.buffer.buffer).setBigUint64(at, value, true);
  }

  double(value: number): void {
    const at = this.room(8);
    new DataView(this.buffer.buffer).setFloat64(at, value, true);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    const at = this.room(value.length);
    this.buffer.set(value, at);
  }

  string(value: string): void {
    this.bytes(ENCODER.encode(value));
  }

  private varint(value: number): void {
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128);
    this.byte(rest);
  }

  private byte(value: number): void {
    const at = this.room(1);
    this.buffer[at] = value;
  }

  /** Where so many bytes go. */
  private room(bytes: number): number {
    const from = this.length;
    this.length += bytes;
    if (this.length > this.buffer.length) {
      const larger = new Uint8Array(this.length * 2);
      larger.set(this.buffer);
      this.buffer = larger;
    }
    return from;
  }
}

function outOfRange(value: unknown): RangeError {
  return new RangeError(`a number is out of range: ${String(value)}`);
}
