import type { PendingMutation, UndoResult } from '../api.js';
import { dotKey } from '../domain/dot.js';
import type { Dot, DotKey } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { UNDO_STEPS_MAX } from '../limits.js';
import type { Replica } from '../replica/replica.js';
import { Cell, sameData } from './cell.js';

interface Step {
  readonly dots: Dot[];
  readonly group: string | undefined;
}

/** What this tab can take back and take back again. */
export class UndoStack {
  readonly undoable = new Cell<{ readonly undo: boolean; readonly redo: boolean }>({ undo: false, redo: false });
  private undos: Step[] = [];
  private redos: Step[] = [];
  /** Rejected or cancelled: there is nothing to take back. */
  private readonly dead = new Set<DotKey>();

  constructor(
    private readonly replica: Replica,
    private readonly make: (mutations: readonly Mutation[]) => PendingMutation,
  ) {}

  /** The user did something; what was taken back cannot come back any more. */
  did(dot: Dot, group: string | undefined): void {
    this.redos = [];
    const last = this.undos.at(-1);
    if (group !== undefined && last?.group === group) last.dots.push(dot);
    else this.push(this.undos, { dots: [dot], group });
    this.tell();
  }

  /** An operation has no effect. */
  forget(dot: Dot): void {
    this.dead.add(dotKey(dot));
    const alive = (step: Step) => step.dots.some((each) => !this.dead.has(dotKey(each)));
    this.undos = this.undos.filter(alive);
    this.redos = this.redos.filter(alive);
    this.tell();
  }

  /** Operations have other dots now: old steps mean nothing. */
  clear(): void {
    this.undos = [];
    this.redos = [];
    this.tell();
  }

  undo(): UndoResult | undefined {
    return this.takeBack(this.undos, this.redos);
  }

  redo(): UndoResult | undefined {
    return this.takeBack(this.redos, this.undos);
  }

  private takeBack(from: Step[], to: Step[]): UndoResult | undefined {
    try {
      for (let step = from.pop(); step !== undefined; step = from.pop()) {
        const dots = step.dots.filter((dot) => !this.dead.has(dotKey(dot)));
        const { mutations, skipped } = this.replica.inverse(dots);
        if (mutations.length === 0) continue;
        const mutation = this.make(mutations);
        this.push(to, { dots: [mutation.dot], group: undefined });
        return { mutation, skipped };
      }
      return undefined;
    } finally {
      this.tell();
    }
  }

  private push(to: Step[], step: Step): void {
    to.push(step);
    if (to.length > UNDO_STEPS_MAX) to.shift();
  }

  private tell(): void {
    const now = { undo: this.undos.length > 0, redo: this.redos.length > 0 };
    if (!sameData(now, this.undoable.getSnapshot())) this.undoable.set(now);
  }
}
