/** Why something does not have the form the domain asks for. Callers turn it into their own errors. */
export type ProblemKind =
  /** A value cannot be written: NaN, a whole number beyond 64 bits, too deep, of a foreign type. */
  | 'value'
  /** Hunks are empty, unsorted, touching, or outside of the text. */
  | 'hunks'
  /** Splices belong to another text. */
  | 'splices'
  /** An effect does not fit the state it is folded into. */
  | 'effect';

/** The one error of the domain. Nothing was changed when it is thrown. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly kind: ProblemKind,
    message: string,
  ) {
    super(message);
  }
}
