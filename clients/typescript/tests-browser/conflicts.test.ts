import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { goOffline, goOnline, rename, settled, shown, shows, write } from './harness/acts.js';
import { Browser, CLIENT, until } from './harness/browser.js';
import { DevServer } from './harness/server.js';

let server: DevServer;
let browsers: Browser[] = [];
let ada: Page;
let grace: Page;

beforeAll(async () => {
  server = await DevServer.start();
  browsers = [await Browser.start(), await Browser.start()];
  const [first, second] = browsers;
  if (!first || !second) throw new Error('two browsers');
  ada = await first.board(server.url, '?name=Ada');
  grace = await second.board(server.url, '?name=Grace');
});
afterEach(() => {
  for (const browser of browsers) expect(browser.complaints).toEqual([]);
});
afterAll(async () => {
  for (const browser of browsers) await browser.stop();
  await server.stop();
});

/** Both do something to the same thing without knowing of each other. */
async function apart(first: () => Promise<void>, second: () => Promise<void>): Promise<void> {
  for (const page of [ada, grace]) {
    await settled(page);
    await goOffline(page);
  }
  await first();
  await second();
  // Ada is first: what she wrote is shown until somebody decides.
  await goOnline(ada);
  await settled(ada);
  await goOnline(grace);
  await settled(grace);
  for (const page of [ada, grace]) await until(page, `${CLIENT}.conflicts.getSnapshot().length === 1`);
}

const inbox = async (page: Page) => {
  await page
    .getByRole('button', { name: /^Conflicts/ })
    .first()
    .click();
  await page.locator('.syncline-sides').waitFor();
};

const decided = async () => {
  for (const page of [ada, grace]) await until(page, `${CLIENT}.conflicts.getSnapshot().length === 0`);
};

describe('a clash', () => {
  it('is in the inbox of both with its context; one decides, and the other sees it', async () => {
    await apart(
      () => rename(ada, 'card-1', 'Plan the big launch'),
      () => rename(grace, 'card-1', 'Plan the quiet launch'),
    );
    await grace.getByText('Your change clashed with another').waitFor();
    await inbox(grace);
    const text = (await grace.locator('.syncline-case').textContent()) ?? '';
    for (const part of [
      'Plan the big launch',
      'Plan the quiet launch',
      'Ada',
      'Grace',
      'shown now',
      'The whole record',
    ]) {
      expect(text).toContain(part);
    }
    // Its relationships by their names.
    expect(await grace.locator('.syncline-context').textContent()).toContain('Translate the guide');
    await grace.getByRole('button', { name: 'Use this: what Grace wrote' }).click();
    await shows(ada, 'card-1', 'title', 'Plan the quiet launch');
    await decided();
    await grace.getByText('Nothing to decide').waitFor();
    await grace.keyboard.press('Escape');
  });

  it('can be put aside, and reminds', async () => {
    await apart(
      () => rename(ada, 'card-2', 'Translate it all'),
      () => rename(grace, 'card-2', 'Translate a chapter'),
    );
    await inbox(ada);
    await ada.getByRole('button', { name: 'Put aside' }).click();
    await ada.getByText('Put aside until').waitFor();
    await until(grace, `${CLIENT}.conflicts.getSnapshot()[0]?.summary.status === 'deferred'`);
    // Sooner than the form offers.
    await ada.evaluate(() => {
      const { client } = globalThis.boards[0] as (typeof globalThis.boards)[number];
      const id = client.conflicts.getSnapshot()[0]?.summary.conflictId ?? '';
      client.conflicts.defer(id, new Date(Date.now() + 2_500));
    });
    await grace.getByText('A conflict that was put aside waits for a decision').waitFor({ timeout: 20_000 });
    await until(ada, `${CLIENT}.conflicts.getSnapshot()[0]?.summary.status === 'open'`);
    await ada.getByLabel('Should decide').selectOption('Grace');
    await until(grace, `${CLIENT}.conflicts.getSnapshot()[0]?.summary.assignee === 'Grace'`);
    await ada.getByRole('button', { name: 'Write another' }).click();
    await ada.getByLabel('What it should say').fill('Translate the first half');
    await ada.locator('.syncline-editor').getByRole('button', { name: 'Use this' }).click();
    await shows(grace, 'card-2', 'title', 'Translate the first half');
    await decided();
    await ada.keyboard.press('Escape');
  });

  it('of two texts is shown as a comparison, and nothing of either is lost', async () => {
    const replace = (page: Page, text: string) => async () => {
      await page.click('[data-card="card-4"] .card-title');
      await page.locator('.details textarea').fill(text);
      await page.keyboard.press('Escape');
    };
    await apart(replace(ada, 'A name that lasts.'), replace(grace, 'Some other word.'));
    await inbox(ada);
    const side = ada.locator('.syncline-sides');
    await side.locator('ins').first().waitFor();
    const text = (await side.textContent()) ?? '';
    expect(text).toMatch(/other/);
    await ada.getByRole('button', { name: 'Keep what is shown' }).click();
    await decided();
    expect(await shown(grace, 'card-4', 'body')).toBe(await shown(ada, 'card-4', 'body'));
    await ada.keyboard.press('Escape');
    await write(ada, 'card-4', 'End', ' Done.');
    await settled(ada);
  });
});
