import type { ChangesFrame, Frame, SnapshotChunk } from '../domain/change.js';
import type { Cursor, Seq } from '../domain/ids.js';
import type { Emitter } from '../events.js';
import type { FrameVerdict, Replica, SnapshotBuilder, WholeSnapshot } from '../replica/replica.js';
import type { Store } from '../store/store.js';
import { failureOf, TransportError } from '../transport/transport-error.js';
import type { Transport } from '../transport/transport.js';

/** What a feed tells. */
export interface FeedEvents {
  /** The first word of the server. */
  opened(): void;
  heard(): void;
  headIs(seq: Seq): void;
  schemaIs(version: number): void;
  applied(frame: ChangesFrame, verdict: Extract<FrameVerdict, { type: 'applied' }>): void;
  /** A snapshot was adopted; from here on the feed is followed and queues may be sent. */
  following(): void;
  /** How far a snapshot is; undefined when none is under way. */
  snapshot(progress: Pick<SnapshotChunk, 'sentCount' | 'estimatedCount'> | undefined): void;
  /** What came cannot be true. */
  broken(detail: string): void;
  /** The server's history is not the one of this client any more. */
  rewound(): void;
  /** Open again at once. */
  wentAway(): void;
  failed(failure: TransportError): void;
}

/** What a feed asks for and waits for. */
export interface FeedHost {
  /** A snapshot is whole: keep it and show it. `rewound`: of another history. */
  adopt(snapshot: WholeSnapshot, rewound: boolean): Promise<void>;
  /** Waits while what is shown is too far ahead of what is kept. */
  room(): Promise<void>;
}

/** What became of an attempt. */
type Ending = 'again' | { readonly failed: TransportError };

/** Follows the feed, and takes snapshots where there is nothing to follow from (SPEC.md, §5 and §6). */
export class FeedReader {
  /** What the next attempt begins with. */
  private mode: 'follow' | 'snapshot' | 'rewound';
  /** Attempts in a row that ended by a frame that does not fit, or by a slow consumer, without one that did. */
  private misfits = 0;
  private previous: Promise<void> = Promise.resolve();
  private slow = 0;

  constructor(
    private readonly replica: Replica,
    private readonly store: Store,
    private readonly term: number,
    private readonly transport: Transport,
    private readonly host: FeedHost,
    private readonly events: Emitter<FeedEvents>,
  ) {
    this.mode = replica.whole ? 'follow' : 'snapshot';
  }

  get following(): boolean {
    return this.mode === 'follow';
  }

  /** The history is another one: the next attempt takes its snapshot. */
  rewind(): void {
    this.mode = 'rewound';
  }

  /** One attempt, from opening to the end. An attempt that was called off may still be adopting its snapshot. */
  async run(signal: AbortSignal): Promise<void> {
    const attempt = this.previous.then(() => this.once(signal));
    this.previous = attempt;
    await attempt;
  }

  private async once(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    try {
      const ending = await this.attempt(signal);
      if (signal.aborted) return;
      if (ending === 'again') this.events.emit('wentAway');
      else this.events.emit('failed', ending.failed);
    } catch (error) {
      if (!signal.aborted) this.events.emit('failed', failureOf(error));
    } finally {
      if (!signal.aborted) this.events.emit('snapshot', undefined);
    }
  }

  private async attempt(signal: AbortSignal): Promise<Ending> {
    let aside: SnapshotBuilder | undefined;
    if (this.mode !== 'follow') {
      aside = await this.takeSnapshot(signal);
      if (signal.aborted) return 'again';
      if (await this.adoptIfWhole(aside)) aside = undefined;
    }
    const from: Cursor = aside?.cursor ?? this.replica.cursor;
    const session = await this.transport.openFeed(from, signal);
    try {
      for await (const frame of session.frames) {
        if (signal.aborted) return 'again';
        const ending = await this.take(frame, aside, signal);
        if (ending !== undefined) return ending;
        if (aside !== undefined && (await this.adoptIfWhole(aside))) aside = undefined;
        if (frame.type === 'changes' && aside === undefined) session.acknowledge(this.replica.position);
        await this.host.room();
      }
    } finally {
      session.close();
    }
    return 'again';
  }

  private async takeSnapshot(signal: AbortSignal): Promise<SnapshotBuilder> {
    const builder = this.replica.beginSnapshot();
    await this.store.beginSnapshot(this.term);
    this.events.emit('snapshot', { sentCount: 0, estimatedCount: 0 });
    let first = true;
    for await (const chunk of this.transport.snapshot(signal)) {
      if (signal.aborted) break;
      if (first) this.events.emit('opened');
      else this.events.emit('heard');
      first = false;
      this.events.emit('headIs', chunk.cursor.seqInclusive);
      const { records, conflicts } = builder.add(chunk);
      await this.store.addToSnapshot(this.term, records, conflicts);
      this.events.emit('snapshot', chunk);
    }
    return builder;
  }

  private async adoptIfWhole(builder: SnapshotBuilder): Promise<boolean> {
    const whole = builder.whole();
    if (whole === undefined) return false;
    await this.host.adopt(whole, this.mode === 'rewound');
    this.mode = 'follow';
    this.events.emit('snapshot', undefined);
    this.events.emit('following');
    return true;
  }

  /** One frame; what the attempt ends with, when it does. */
  private async take(
    frame: Frame,
    aside: SnapshotBuilder | undefined,
    signal: AbortSignal,
  ): Promise<Ending | undefined> {
    if (frame.type === 'opened') this.events.emit('opened');
    else this.events.emit('heard');
    switch (frame.type) {
      case 'opened':
        this.events.emit('headIs', frame.headSeq);
        this.events.emit('schemaIs', frame.schemaVersion);
        return undefined;
      case 'changes':
        this.slow = 0;
        this.events.emit('headIs', frame.headSeq);
        this.events.emit('schemaIs', frame.schemaVersion);
        return aside === undefined ? this.changes(frame) : this.changesAside(frame, aside, signal);
      case 'checkpoint': {
        this.events.emit('headIs', frame.headSeq);
        const position = aside === undefined ? this.replica.position : aside.cursor?.seqInclusive;
        return frame.cursor.seqInclusive === position ? undefined : this.misfit();
      }
      case 'reset':
        return this.reset(frame.reason);
      case 'go_away':
        this.slow = frame.reason === 'slow_consumer' ? this.slow + 1 : 0;
        return this.slow > 1 ? { failed: new TransportError('unavailable', 'this client reads too slowly') } : 'again';
    }
  }

  private changes(frame: ChangesFrame): Ending | undefined {
    const verdict = this.replica.applyFrame(frame);
    switch (verdict.type) {
      case 'applied':
        this.misfits = 0;
        this.events.emit('applied', frame, verdict);
        return undefined;
      case 'repeat':
        return undefined;
      case 'gap':
        return this.misfit();
      case 'broken':
        return this.broken(frame, verdict.detail);
    }
  }

  private async changesAside(
    frame: ChangesFrame,
    aside: SnapshotBuilder,
    signal: AbortSignal,
  ): Promise<Ending | undefined> {
    const verdict = aside.applyFrame(frame);
    switch (verdict.type) {
      case 'applied':
        await this.store.addToSnapshot(this.term, verdict.writes.records, verdict.writes.conflicts);
        return signal.aborted ? 'again' : undefined;
      case 'repeat':
        return undefined;
      case 'gap':
      case 'broken':
        // The copy is worth nothing then. It is begun again.
        return this.misfit();
    }
  }

  private broken(frame: ChangesFrame, detail: string): Ending {
    if (frame.cursor.epoch !== this.replica.epoch) {
      this.mode = 'rewound';
      this.events.emit('rewound');
    } else {
      this.mode = 'snapshot';
      this.events.emit('broken', detail);
    }
    return this.misfit();
  }

  private reset(reason: Extract<Frame, { type: 'reset' }>['reason']): Ending {
    switch (reason) {
      case 'compacted':
        this.mode = 'snapshot';
        return this.misfit();
      case 'wrong_epoch':
      case 'future_cursor':
        this.mode = 'rewound';
        this.events.emit('rewound');
        return this.misfit();
      case 'forbidden':
        return { failed: new TransportError('forbidden', 'the right to read this workspace was withdrawn') };
    }
  }

  /** The first time at once; again in a row with a back-off. */
  private misfit(): Ending {
    this.misfits += 1;
    return this.misfits > 1 ? { failed: new TransportError('fault', 'the feed does not fit what is here') } : 'again';
  }
}
