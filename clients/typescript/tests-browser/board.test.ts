import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Browser, CLIENT, percentile, until } from './harness/browser.js';
import { DevServer } from './harness/server.js';

/** What a person may wait until they see another's edit. */
const SEEN_WITHIN_MS = 100;
const EDITS = 150;
/** Between two edits: somebody who types fast. */
const EVERY_MS = 50;
/** Other work on the machine only adds: of so many rounds the best is nearest to what this costs. */
const ROUNDS_MAX = 3;

interface Round {
  readonly seen: number;
  readonly p50: number;
  readonly p99: number;
}

/** Milliseconds from each edit in one window until it stands in the other's document, by the clock both share. */
async function measure(writer: Page, reader: Page): Promise<number[]> {
  await reader.evaluate(() => {
    const seen = new Map<string, number>();
    const votes = document.querySelector('[data-card="card-4"] .votes');
    if (!votes) throw new Error('there are no votes');
    new MutationObserver(() => {
      const text = votes.textContent.replace(/\D/g, '');
      if (!seen.has(text)) seen.set(text, performance.timeOrigin + performance.now());
    }).observe(votes, { childList: true, characterData: true, subtree: true });
    Object.assign(globalThis, { seen });
  });
  const made = await writer.evaluate(
    async ({ edits, everyMs }) => {
      const { client } = globalThis.boards[0] as (typeof globalThis.boards)[number];
      const times: [string, number][] = [];
      for (let i = 0; i < edits; i += 1) {
        const at = performance.timeOrigin + performance.now();
        client.mutate((tx) => {
          tx.increment('card-4', 'votes');
        });
        times.push([String(client.record<'cards'>('card-4').getSnapshot()?.fields.votes), at]);
        await new Promise((resolve) => setTimeout(resolve, everyMs + (i % 7)));
      }
      return times;
    },
    { edits: EDITS, everyMs: EVERY_MS },
  );
  await until(reader, `globalThis.seen.has('${made.at(-1)?.[0] ?? ''}')`);
  const seen = new Map(await reader.evaluate(() => [...(globalThis as unknown as { seen: Map<string, number> }).seen]));
  return made.flatMap(([votes, at]) => {
    const then = seen.get(votes);
    return then === undefined ? [] : [then - at];
  });
}

let server: DevServer;
beforeAll(async () => {
  server = await DevServer.start();
});
afterAll(() => server.stop());

describe('the board', () => {
  it('loads, shows what is there, and hides its status when healthy', async () => {
    const browser = await Browser.start();
    const page = await browser.board(server.url, '?name=Ada');
    expect(await page.locator('.column-title').allTextContents()).toEqual([
      expect.stringContaining('To do'),
      expect.stringContaining('Doing'),
      expect.stringContaining('Done'),
    ]);
    await page.getByText('Blocked by Plan the launch').waitFor();
    await until(page, `${CLIENT}.connection.getSnapshot().state === 'online'`);
    expect(await page.locator('.syncline-status').isHidden()).toBe(true);
    expect(browser.complaints).toEqual([]);
    await browser.stop();
  });

  it.each([
    ['two people', true],
    ['two windows of one person', false],
  ])(`%s see each other’s edits, p99 under ${String(SEEN_WITHIN_MS)} ms`, async (who, apart) => {
    const first = await Browser.start();
    const second = apart ? await Browser.start() : first;
    const writer = await first.board(server.url, '?name=Ada');
    const reader = await second.board(server.url, '?name=Grace');
    for (const page of [writer, reader]) await until(page, `${CLIENT}.connection.getSnapshot().feed.caughtUp`);
    const rounds: Round[] = [];
    while (rounds.length < ROUNDS_MAX && !rounds.some((round) => round.p99 < SEEN_WITHIN_MS)) {
      const delays = await measure(writer, reader);
      const round = { seen: delays.length, p50: percentile(delays, 0.5), p99: percentile(delays, 0.99) };
      rounds.push(round);
      console.log(
        `${who}: ${String(round.seen)} of ${String(EDITS)} edits seen, p50 ${round.p50.toFixed(1)} ms, ` +
          `p99 ${round.p99.toFixed(1)} ms, max ${Math.max(...delays).toFixed(1)} ms`,
      );
    }
    const best = rounds.reduce((a, b) => (b.p99 < a.p99 ? b : a));
    // Two edits may come in one frame and be rendered as one; most do not.
    expect(best.seen).toBeGreaterThan(EDITS * 0.7);
    expect(best.p99).toBeLessThan(SEEN_WITHIN_MS);
    expect([...first.complaints, ...second.complaints]).toEqual([]);
    await first.stop();
    if (apart) await second.stop();
  });

  it('shows what is typed in the same frame', async () => {
    const browser = await Browser.start();
    const page = await browser.board(server.url, '?name=Ada');
    await page.click('[data-card="card-3"] .card-title');
    const area = page.getByLabel('Text');
    await area.click();
    await page.evaluate(() => {
      const typed: { readonly input: string; readonly card: string }[] = [];
      document.querySelector('.details textarea')?.addEventListener('input', (event) => {
        const area = event.target as HTMLTextAreaElement;
        // The callback runs before this frame is painted; a second key may have come before it.
        requestAnimationFrame(() => {
          typed.push({
            input: area.value,
            card: document.querySelector('[data-card="card-3"] .card-body')?.textContent ?? '',
          });
        });
      });
      Object.assign(globalThis, { typed });
    });
    await page.keyboard.type(' And then, thank them again.', { delay: 8 });
    const typed = await page.evaluate(
      () => (globalThis as unknown as { typed: { input: string; card: string }[] }).typed,
    );
    expect(typed.length).toBeGreaterThan(20);
    for (const { input, card } of typed) expect(card).toBe(input);
    await browser.stop();
  });
});
