import { TransportError } from './transport-error.js';

/** What goes into `authorization`: asked for once, kept in memory, and again after `forget`. */
export class Credentials {
  private kept: Promise<string> | undefined;

  constructor(private readonly ask: (() => string | Promise<string>) | undefined) {}

  forget(): void {
    this.kept = undefined;
  }

  /** Undefined when the application gave no way to get any. */
  async get(): Promise<string | undefined> {
    if (this.ask === undefined) return undefined;
    this.kept ??= Promise.resolve().then(this.ask);
    const asked = this.kept;
    try {
      return await asked;
    } catch (error) {
      if (this.kept === asked) this.kept = undefined;
      throw new TransportError('unavailable', 'no credentials', { cause: error });
    }
  }
}
