import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A length-delimited field as its bytes stand, for a message's `$unknown`. */
export function lengthDelimited(no: number, bytes: Uint8Array): { no: number; wireType: WireType; data: Uint8Array } {
  return { no, wireType: WireType.LengthDelimited, data: new BinaryWriter().bytes(bytes).finish() };
}
