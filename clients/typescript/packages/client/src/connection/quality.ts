import type { LinkQuality } from '../api.js';

/** Weight of a new round trip in the smoothed one. */
const ROUND_TRIP_GAIN = 1 / 8;
/** Weight of a new variation in the jitter (RFC 3550). */
const JITTER_GAIN = 1 / 16;
/** Heartbeats looked at for loss. */
const LOSS_HEARTBEATS = 20;
/** Time looked at for stability. */
const STABILITY_WINDOW_MS = 10 * 60_000;

/** Bounds of the ratings; SPEC.md, §9. */
const ROUND_TRIP_GOOD_MS = 150;
export const ROUND_TRIP_POOR_MS = 800;
const LOSS_GOOD = 0.05;
export const LOSS_POOR = 0.2;
const STABILITY_POOR = 0.7;

/** A time the wire was not up although it should have been; without an end while it lasts. */
interface Outage {
  readonly fromMs: number;
  toMs: number | undefined;
}

/** Measures a link. Times are monotonic. */
export class QualityMeter {
  private roundTripMs: number | undefined;
  private lastRoundTripMs: number | undefined;
  private jitterMs = 0;
  private readonly heartbeats: boolean[] = [];
  private outages: Outage[] = [];

  /** A heartbeat was answered; its round trip, when it has one. */
  answered(roundTripMs: number | undefined): void {
    if (roundTripMs === undefined) return;
    this.count(true);
    this.roundTripMs =
      this.roundTripMs === undefined
        ? roundTripMs
        : this.roundTripMs + (roundTripMs - this.roundTripMs) * ROUND_TRIP_GAIN;
    if (this.lastRoundTripMs !== undefined) {
      this.jitterMs += (Math.abs(roundTripMs - this.lastRoundTripMs) - this.jitterMs) * JITTER_GAIN;
    }
    this.lastRoundTripMs = roundTripMs;
  }

  /** A heartbeat was not answered. */
  lost(): void {
    this.count(false);
  }

  /** The wire came up, or is down on purpose: neither counts against it. */
  fine(nowMs: number): void {
    const last = this.outages.at(-1);
    if (last !== undefined) last.toMs ??= nowMs;
  }

  /** The wire should be up and is not. */
  broken(nowMs: number): void {
    const last = this.outages.at(-1);
    if (last === undefined || last.toMs !== undefined) this.outages.push({ fromMs: nowMs, toMs: undefined });
  }

  snapshot(nowMs: number): LinkQuality {
    const loss =
      this.heartbeats.length === 0
        ? 0
        : this.heartbeats.filter((answered) => !answered).length / this.heartbeats.length;
    const stability = this.stability(nowMs);
    return {
      ...(this.roundTripMs === undefined ? {} : { roundTripMs: this.roundTripMs, jitterMs: this.jitterMs }),
      loss,
      stability,
      rating: rate(this.roundTripMs, loss, stability),
    };
  }

  private count(answered: boolean): void {
    this.heartbeats.push(answered);
    if (this.heartbeats.length > LOSS_HEARTBEATS) this.heartbeats.shift();
  }

  private stability(nowMs: number): number {
    const fromMs = nowMs - STABILITY_WINDOW_MS;
    this.outages = this.outages.filter((outage) => (outage.toMs ?? nowMs) > fromMs);
    const downMs = this.outages.reduce(
      (sum, outage) => sum + (outage.toMs ?? nowMs) - Math.max(outage.fromMs, fromMs),
      0,
    );
    return 1 - downMs / STABILITY_WINDOW_MS;
  }
}

function rate(roundTripMs: number | undefined, loss: number, stability: number): LinkQuality['rating'] {
  if (loss > LOSS_POOR || stability < STABILITY_POOR) return 'poor';
  if (roundTripMs === undefined) return 'unknown';
  if (roundTripMs > ROUND_TRIP_POOR_MS) return 'poor';
  return roundTripMs < ROUND_TRIP_GOOD_MS && loss < LOSS_GOOD ? 'good' : 'fair';
}
