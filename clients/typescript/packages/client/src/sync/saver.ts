import type { Emitter } from '../events.js';
import type { ChangesFrame } from '../domain/change.js';
import type { Dot, Seq } from '../domain/ids.js';
import type { PendingOperation } from '../replica/replica.js';
import { SAVE_RETRY_MAX_MS, SAVE_RETRY_MS } from '../limits.js';
import type { Clock } from '../platform.js';
import type { FrameWrites, SlotRow, Store, StoreErrorCode, StoreFailure } from '../store/store.js';

/** What a saver tells. */
export interface SaverEvents {
  /** Operations are kept. */
  saved(dots: readonly Dot[]): void;
  /** The first attempt to keep these failed; it is tried again. */
  notSaved(dots: readonly Dot[], error: StoreFailure): void;
  /** Frames are kept, up to the position. */
  framesKept(frames: readonly ChangesFrame[], position: Seq): void;
  /** Another leader wrote: this tab is no longer the leader. */
  fenced(): void;
  /** The slot in the store is not what it was here: somebody gave it another replica. */
  slotReplaced(): void;
  /** Whether the device takes writes. */
  storage(state: 'fine' | 'full'): void;
}

interface KeptFrame {
  readonly writes: FrameWrites;
  /** Absent for writes that only settle operations or carry a schema. */
  readonly frame?: ChangesFrame;
}

/** Writes of a store, one at a time, in the order they were asked for. */
type Job = () => Promise<void>;

/**
 * Everything this tab keeps goes through here: one transaction at a time, what was asked for within one in the next.
 * An operation is kept only together with or after the frames up to its base (SPEC.md, O4).
 */
export class Saver {
  private operations: PendingOperation[] = [];
  private frames: KeptFrame[] = [];
  private jobs: Job[] = [];
  private running = false;
  private failures = 0;
  private told = new Set<PendingOperation>();
  private cancelRetry: () => void = () => undefined;
  private idleWaiters: (() => void)[] = [];
  private closed = false;
  /** The store is known to be here at least. */
  private keptPosition: Seq = 0;
  private term = 0;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly events: Emitter<SaverEvents>,
    private slot: SlotRow,
    private slotStored: boolean,
    /** Own operations that are not kept, in order. */
    private readonly unsaved: () => readonly PendingOperation[],
  ) {}

  /** How far the store is, for certain. */
  get position(): Seq {
    return this.keptPosition;
  }

  /** Frames that are shown and not kept yet. */
  get unsavedFrames(): number {
    return this.frames.length;
  }

  get idle(): boolean {
    return !this.running && this.nothingToDo();
  }

  /** The slot that operations go into from now on. */
  useSlot(slot: SlotRow, stored: boolean): void {
    this.slot = slot;
    this.slotStored = stored;
  }

  /** Makes the slot in the store when it is used for the first time. */
  async ensureSlot(): Promise<void> {
    if (this.slotStored) return;
    await this.store.createSlot(this.slot);
    this.slotStored = true;
  }

  operation(pending: PendingOperation): void {
    this.operations.push(pending);
    this.start();
  }

  /** Leader: keeps what a frame did. */
  frame(term: number, writes: FrameWrites, frame?: ChangesFrame): void {
    this.term = term;
    this.frames.push({ writes, ...(frame && { frame }) });
    this.start();
  }

  /** Any other write, in turn. It is tried again until it succeeds, unless this tab is fenced. */
  write(run: Job): void {
    this.jobs.push(run);
    this.start();
  }

  /**
   * Runs when nothing is being written and lets nothing be written meanwhile. Frames not kept yet go first. Operations
   * may be other ones afterwards: what is not kept is looked up again.
   */
  async exclusive<T>(run: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.jobs.push(async () => {
        try {
          resolve(await run());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        } finally {
          this.operations = [...this.unsaved()];
        }
      });
      this.start();
    });
  }

  /** The store got further by somebody else's writes (follower), or by a snapshot. */
  kept(position: Seq): void {
    this.keptPosition = Math.max(this.keptPosition, position);
    this.start();
  }

  /** A store was replaced as a whole: what was kept before says nothing. */
  restart(position: Seq): void {
    this.keptPosition = position;
    this.frames = [];
  }

  /** This tab no longer leads: its frames are somebody else's to keep. */
  dropFrames(): void {
    this.frames = [];
  }

  /** Forgets operations that are not kept: their slot is another one now. */
  takeOperations(): readonly PendingOperation[] {
    const taken = this.operations;
    this.operations = [];
    return taken;
  }

  /** Resolves when nothing waits to be written, or nothing can be. */
  async flushed(): Promise<void> {
    if (this.idle || this.failures > 0) return;
    await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  close(): void {
    this.closed = true;
    this.cancelRetry();
    this.wakeIdle();
  }

  private nothingToDo(): boolean {
    return this.savable() === 0 && this.frames.length === 0 && this.jobs.length === 0;
  }

  /** How many operations can be kept now: those whose base is kept, or will be by the frames that go with them. */
  private savable(): number {
    const position = this.frames.at(-1)?.writes.meta.cursor.seqInclusive ?? this.keptPosition;
    const after = this.operations.findIndex((pending) => pending.operation.context.baseSeq > position);
    return after === -1 ? this.operations.length : after;
  }

  private start(retrying = false): void {
    if (this.running || this.closed || (this.failures > 0 && !retrying)) return;
    this.running = true;
    // What the rest of this task asks for goes along.
    void Promise.resolve().then(() => this.run());
  }

  private async run(): Promise<void> {
    while (!this.closed && !this.nothingToDo()) {
      try {
        await this.next();
        this.failures = 0;
        this.events.emit('storage', 'fine');
      } catch (error) {
        if (!this.recover(error as StoreFailure)) break;
      }
    }
    this.running = false;
    this.wakeIdle();
  }

  private async next(): Promise<void> {
    const count = this.savable();
    const operations = this.operations.slice(0, count);
    const frames = [...this.frames];
    if (operations.length > 0) {
      await this.ensureSlot();
      const rows = operations.map(({ operation, bytes, pessimistic }) => ({ operation, bytes, pessimistic }));
      await this.store.saveOperations(
        this.slot.slotId,
        rows,
        frames.map((kept) => kept.writes),
      );
    } else if (frames.length > 0) {
      await this.store.saveFrames(
        this.term,
        frames.map((kept) => kept.writes),
      );
    }
    if (operations.length > 0 || frames.length > 0) {
      this.done(operations, frames);
      return;
    }
    const job = this.jobs[0];
    if (job === undefined) return;
    await job();
    if (this.jobs[0] === job) this.jobs.shift();
  }

  private done(operations: readonly PendingOperation[], frames: readonly KeptFrame[]): void {
    this.operations = this.operations.filter((pending) => !operations.includes(pending));
    this.frames = this.frames.filter((kept) => !frames.includes(kept));
    for (const pending of operations) this.told.delete(pending);
    const last = frames.at(-1);
    if (last !== undefined) {
      const position = last.writes.meta.cursor.seqInclusive;
      this.keptPosition = position;
      this.events.emit(
        'framesKept',
        frames.flatMap((kept) => (kept.frame ? [kept.frame] : [])),
        position,
      );
    }
    if (operations.length > 0)
      this.events.emit(
        'saved',
        operations.map((pending) => pending.operation.dot),
      );
  }

  /** Whether to go on at once. */
  private recover(error: StoreFailure): boolean {
    const code: StoreErrorCode | undefined = error.code;
    if (code === 'fenced') {
      this.frames = [];
      this.jobs = [];
      this.events.emit('fenced');
      return true;
    }
    if (code === 'corrupt' && this.operations.length > 0) {
      this.events.emit('slotReplaced');
      return false;
    }
    this.events.emit('storage', 'full');
    const fresh = this.operations.filter((pending) => !this.told.has(pending));
    for (const pending of fresh) this.told.add(pending);
    if (fresh.length > 0) {
      this.events.emit(
        'notSaved',
        fresh.map((pending) => pending.operation.dot),
        error,
      );
    }
    const delayMs = Math.min(SAVE_RETRY_MS * 2 ** this.failures, SAVE_RETRY_MAX_MS);
    this.failures += 1;
    this.cancelRetry = this.clock.after(delayMs, () => {
      this.start(true);
    });
    return false;
  }

  private wakeIdle(): void {
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const wake of waiters) wake();
  }
}
