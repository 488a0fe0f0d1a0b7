import type { Interceptor } from '@connectrpc/connect';
import { TransportError } from './transport-error.js';

/** What goes into `authorization`: asked for once, kept in memory, and again after `forget`. */
export class Credentials {
  private kept: Promise<string> | undefined;

  constructor(private readonly ask: (() => string | Promise<string>) | undefined) {}

  forget(): void {
    this.kept = undefined;
  }

  /** Adds them to every call. */
  readonly interceptor: Interceptor = (next) => async (request) => {
    if (this.ask !== undefined) request.header.set('authorization', await this.get(this.ask));
    return next(request);
  };

  private async get(ask: () => string | Promise<string>): Promise<string> {
    this.kept ??= Promise.resolve().then(ask);
    const asked = this.kept;
    try {
      return await asked;
    } catch (error) {
      if (this.kept === asked) this.kept = undefined;
      throw new TransportError('unavailable', 'no credentials', { cause: error });
    }
  }
}
