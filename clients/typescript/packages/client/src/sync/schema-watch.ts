import type { Schema } from '../domain/schema.js';
import type { SyncParts } from './sync.js';

/** Reads the schema when the feed says that there is a newer one. */
export class SchemaWatch {
  private seen: number | undefined;
  private asked: number | undefined;

  constructor(
    private readonly parts: Pick<SyncParts, 'transport' | 'replica' | 'events'>,
    private readonly signal: AbortSignal,
    private readonly keep: (schema: Schema) => void,
  ) {}

  /** What is written before the first feed is checked against the kinds of fields: they come before it. */
  async readFirst(signal: AbortSignal): Promise<void> {
    if (this.parts.replica.schema !== undefined) return;
    try {
      this.take(await this.parts.transport.schema(signal));
    } catch {
      // The feed meets the same failure and says so.
    }
  }

  /** The server has this version. */
  versionIs(version: number): void {
    this.seen = version;
    if (version === this.parts.replica.schema?.version || version === this.asked) return;
    this.asked = version;
    void this.parts.transport
      .schema(this.signal)
      .then((schema) => {
        this.take(schema);
      })
      .catch(() => undefined)
      .finally(() => {
        this.asked = undefined;
        // It may have moved on while it was read.
        if (this.seen !== undefined && this.seen !== version) this.versionIs(this.seen);
      });
  }

  private take(schema: Schema): void {
    if (this.signal.aborted) return;
    this.parts.events.emit('viewChanged', this.parts.replica.setSchema(schema));
    this.keep(schema);
  }
}
