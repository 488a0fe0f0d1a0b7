import type { ConnectionSnapshot } from '../api.js';
import type { ChangesFrame, Frame, ServerInfo } from '../domain/change.js';
import type { Seq } from '../domain/ids.js';
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
  serverIs(server: ServerInfo): void;
  applied(frame: ChangesFrame, verdict: Extract<FrameVerdict, { type: 'applied' }>): void;
  /** What was loaded was adopted; from here on the feed is followed and queues may be sent. */
  following(): void;
  /** How far loading is; undefined when it is over. */
  snapshot(progress: ConnectionSnapshot['snapshot']): void;
  /** The server sent something that this version does not know and must not go on without. */
  updateNeeded(): void;
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
  /** What was loaded is whole: keep it and show it. `rewound`: of another history. */
  adopt(snapshot: WholeSnapshot, rewound: boolean): Promise<void>;
  /** Waits while what is shown is too far ahead of what is kept. */
  room(): Promise<void>;
}

type LoadingFrame = Extract<Frame, { type: 'loading_begun' | 'records_entered' | 'records_left' | 'loading_finished' }>;

/** What became of an attempt. */
type Ending = 'again' | { readonly failed: TransportError };

/** Follows the feed, and loads everything where there is nothing to follow from (SPEC.md, §5 and §6). */
export class FeedReader {
  /** What the next attempt begins with. */
  private mode: 'follow' | 'snapshot' | 'rewound';
  /** What is being loaded. It outlives a feed that was cut: the next one goes on from its cursor. */
  private aside: SnapshotBuilder | undefined;
  private progress = { received: 0, estimated: 0 };
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
    this.aside = undefined;
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
      // What the store did not take is not aside either.
      if (!(error instanceof TransportError)) this.aside = undefined;
      if (!signal.aborted) this.events.emit('failed', failureOf(error));
    } finally {
      if (!signal.aborted) this.events.emit('snapshot', undefined);
    }
  }

  private async attempt(signal: AbortSignal): Promise<Ending> {
    const origin = this.aside?.cursor ?? (this.mode === 'follow' ? this.replica.cursor : 'snapshot');
    if (this.aside !== undefined || origin === 'snapshot')
      this.loaded({ received: this.aside ? this.progress.received : 0 });
    const session = await this.transport.openFeed(origin, signal);
    try {
      for await (const frame of session.frames) {
        if (signal.aborted) return 'again';
        const ending = await this.take(frame, signal);
        if (ending !== undefined) return ending;
        if (frame.type === 'changes' && this.aside === undefined) session.acknowledge(this.replica.position);
        await this.host.room();
      }
    } finally {
      session.close();
    }
    return 'again';
  }

  private loaded(progress: Partial<FeedReader['progress']>): void {
    this.progress = { ...this.progress, ...progress };
    this.events.emit('snapshot', this.progress);
  }

  /** One frame; what the attempt ends with, when it does. */
  private async take(frame: Frame, signal: AbortSignal): Promise<Ending | undefined> {
    if (frame.type === 'opened') this.events.emit('opened');
    else this.events.emit('heard');
    switch (frame.type) {
      case 'opened':
        this.events.emit('headIs', frame.headSeq);
        this.events.emit('schemaIs', frame.schemaVersion);
        if (frame.server !== undefined) this.events.emit('serverIs', frame.server);
        // What an earlier feed loaded whole and could not have adopted: nothing more may ever come for it.
        if (this.aside !== undefined) await this.adoptIfWhole(this.aside);
        return undefined;
      case 'changes':
        this.slow = 0;
        this.events.emit('headIs', frame.headSeq);
        this.events.emit('schemaIs', frame.schemaVersion);
        return this.aside === undefined ? this.changes(frame) : this.changesAside(frame, this.aside, signal);
      case 'checkpoint': {
        this.events.emit('headIs', frame.headSeq);
        const position = this.aside?.cursor.seqInclusive ?? this.replica.position;
        return frame.cursor.seqInclusive === position ? undefined : this.misfit();
      }
      case 'loading_begun':
      case 'records_entered':
      case 'records_left':
      case 'loading_finished':
        return this.load(frame, signal);
      case 'reset':
        return this.reset(frame.reason);
      case 'go_away':
        return this.goAway(frame.reason);
      case 'unknown':
        this.events.emit('updateNeeded');
        return { failed: new TransportError('outdated', 'the server sent something that a newer version knows') };
    }
  }

  private async load(frame: LoadingFrame, signal: AbortSignal): Promise<Ending | undefined> {
    if (frame.type === 'loading_begun') return this.begin(frame);
    const { aside, store, term } = this;
    if (aside === undefined) return this.misfit();
    switch (frame.type) {
      case 'records_entered': {
        const { records, conflicts } = aside.enter(frame.cursor, frame);
        if (aside.stored) await store.addToSnapshot(term, records, conflicts);
        this.loaded({ received: frame.loadedCount });
        return signal.aborted ? 'again' : undefined;
      }
      case 'records_left':
        aside.leave(frame.cursor, frame.recordIds);
        return undefined;
      case 'loading_finished':
        aside.finish(frame.cursor, frame.completeFromSeq);
        await this.adoptIfWhole(aside);
        return undefined;
    }
  }

  /** A feed that resumes goes on with what is aside, unless it says that this is worth nothing. */
  private async begin(frame: Extract<Frame, { type: 'loading_begun' }>): Promise<Ending | undefined> {
    this.events.emit('headIs', frame.cursor.seqInclusive);
    if (frame.fromScratch || this.aside === undefined) {
      if (!frame.fromScratch && this.mode !== 'follow') return this.misfit();
      this.aside = this.replica.beginSnapshot(frame.cursor, frame.fromScratch ? 'scratch' : 'here');
      if (this.aside.stored) await this.store.beginSnapshot(this.term);
      this.loaded({ received: 0 });
    }
    this.loaded({ estimated: frame.estimatedCount });
    return undefined;
  }

  private async adoptIfWhole(builder: SnapshotBuilder): Promise<void> {
    const whole = builder.whole();
    if (whole === undefined) return;
    if (!builder.stored) {
      await this.store.beginSnapshot(this.term);
      await this.store.addToSnapshot(this.term, [...whole.records.values()], [...whole.conflicts.values()]);
    }
    await this.host.adopt(whole, this.mode === 'rewound');
    this.aside = undefined;
    this.mode = 'follow';
    this.events.emit('snapshot', undefined);
    this.events.emit('following');
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
        if (aside.stored) await this.store.addToSnapshot(this.term, verdict.writes.records, verdict.writes.conflicts);
        if (signal.aborted) return 'again';
        await this.adoptIfWhole(aside);
        return undefined;
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
        if (this.mode === 'follow') this.mode = 'snapshot';
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

  private goAway(reason: Extract<Frame, { type: 'go_away' }>['reason']): Ending {
    this.slow = reason === 'slow_consumer' ? this.slow + 1 : 0;
    if (this.slow > 1) return { failed: new TransportError('unavailable', 'this client reads too slowly') };
    if (reason === 'moved') return { failed: new TransportError('unavailable', 'the workspace is served elsewhere') };
    if (reason === 'credentials_expired') this.transport.refreshCredentials();
    return 'again';
  }

  /** The first time at once; again in a row with a back-off. What was being loaded is begun again. */
  private misfit(): Ending {
    this.aside = undefined;
    this.misfits += 1;
    return this.misfits > 1 ? { failed: new TransportError('fault', 'the feed does not fit what is here') } : 'again';
  }
}
