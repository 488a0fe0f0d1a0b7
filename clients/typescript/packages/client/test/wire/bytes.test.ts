import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, Writer } from '../../src/wire/bytes.js';

const u64 = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 300n), fc.nat(64).map(power));
const i64 = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-300n, 300n));
const u32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.nat(300));
const text = fc.string({ unit: 'binary' });

function power(bits: number): bigint {
  return 2n ** BigInt(bits) - 1n;
}

describe('bytes of messages, held against the library', () => {
  it('writes the same and reads what was written', () => {
    fc.assert(
      fc.property(u64, i64, i64, u32, fc.integer(), fc.double(), text, fc.uint8Array(), (a, b, c, d, e, f, g, h) => {
        const [own, other] = [new Writer(), new BinaryWriter()];
        for (const writer of [own, other]) {
          writer.tag(d >>> 3 || 1, 2);
          writer.fork();
          writer.uint64(a);
          writer.int64(b);
          writer.fork();
          writer.sint64(c);
          writer.uint32(d);
          writer.join();
          writer.int32(e);
          writer.join();
          writer.double(f);
          writer.fixed64(a);
          writer.string(g);
          writer.bytes(h);
          writer.bool(d % 2 === 0);
        }
        const bytes = own.finish();
        expect(bytes).toEqual(other.finish());
        const reader = new Reader(bytes);
        expect(reader.tag()).toEqual([d >>> 3 || 1, 2]);
        reader.uint32();
        expect([reader.uint64(), reader.int64()]).toEqual([a, b]);
        reader.uint32();
        expect([reader.sint64(), reader.uint32(), reader.int32()]).toEqual([c, d, e]);
        expect([reader.double(), reader.fixed64()]).toEqual([f, a]);
        // As a decoder of text takes it: half a surrogate pair and a mark of byte order are not text.
        expect(reader.string()).toBe(new TextDecoder().decode(new TextEncoder().encode(g)));
        expect([reader.bytes(), reader.bool(), reader.pos]).toEqual([h, d % 2 === 0, bytes.length]);
      }),
    );
  });

  it('reads any bytes as the library does, or refuses them', () => {
    const methods = ['uint32', 'int32', 'uint64', 'int64', 'sint64', 'bool', 'fixed64', 'double', 'bytes'] as const;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 14 }), fc.constantFrom(...methods), (bytes, method) => {
        const [own, other] = [new Reader(bytes), new BinaryReader(bytes)];
        const read = (reader: Reader | BinaryReader) => {
          try {
            const value: unknown = reader[method]();
            return { value, pos: reader.pos };
          } catch {
            return 'refused';
          }
        };
        const expected = read(other);
        const found = read(own);
        expect(found).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('skips what it does not know, groups too, and refuses what is cut off', () => {
    const group = [
      0x0b, 0x10, 0x96, 0x01, 0x0b, 0x0c, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x0c, 0x15, 1, 2, 3, 4, 0x0a, 1, 9,
    ];
    const reader = new Reader(new Uint8Array(group));
    while (reader.pos < reader.len) reader.skip(reader.tag()[1]);
    expect(reader.pos).toBe(group.length);
    for (const bytes of [[0x0a, 5, 1], [0x08], [0x08, 0x80], [0x0b, 0x10, 1], [0x0f], [0x00], [0x09, 1]]) {
      const cut = new Reader(new Uint8Array(bytes));
      expect(() => {
        cut.skip(cut.tag()[1]);
      }).toThrow();
    }
  });

  it('refuses numbers that do not fit', () => {
    const writes: readonly ((writer: Writer) => void)[] = [
      (writer) => {
        writer.uint64(-1n);
      },
      (writer) => {
        writer.uint64(2n ** 64n);
      },
      (writer) => {
        writer.int64(2n ** 63n);
      },
      (writer) => {
        writer.sint64(-(2n ** 63n) - 1n);
      },
      (writer) => {
        writer.fixed64(-1n);
      },
      (writer) => {
        writer.uint32(-1);
      },
      (writer) => {
        writer.int32(0.5);
      },
    ];
    for (const write of writes) {
      expect(() => {
        write(new Writer());
      }).toThrow(RangeError);
    }
  });
});
