import type { Page } from 'playwright-core';
import { CLIENT, until } from './browser.js';

/** What a person does on the board. */

/** Everything this page's person did is settled, and everything of others is here. */
export async function settled(page: Page): Promise<void> {
  await until(page, `${CLIENT}.connection.getSnapshot().feed.caughtUp && ${CLIENT}.queue.getSnapshot().pending === 0`);
}

export async function goOffline(page: Page): Promise<void> {
  await page.getByRole('switch', { name: 'Network', checked: true }).click();
  await until(page, `${CLIENT}.connection.getSnapshot().state === 'offline'`);
}

export async function goOnline(page: Page): Promise<void> {
  await page.getByRole('switch', { name: 'Network', checked: false }).click();
}

export async function openCard(page: Page, id: string): Promise<void> {
  await page.click(`[data-card="${id}"] .card-title`);
  await page.getByLabel('Text', { exact: false }).first().waitFor();
}

export async function closePanel(page: Page): Promise<void> {
  await page.keyboard.press('Escape');
  await page.locator('.drawer').waitFor({ state: 'detached' });
}

/** Writes a title and leaves the field, as one does. */
export async function rename(page: Page, id: string, title: string): Promise<void> {
  await openCard(page, id);
  await page.locator('.details input').first().fill(title);
  await page.keyboard.press('Enter');
  await closePanel(page);
}

/** Types at the beginning or the end of a card's text. */
export async function write(page: Page, id: string, where: 'Home' | 'End', text: string): Promise<void> {
  await openCard(page, id);
  await page.locator('.details textarea').click();
  await page.keyboard.press(`Control+${where}`);
  await page.keyboard.type(text);
  await closePanel(page);
}

export async function addCard(page: Page, column: string, title: string): Promise<void> {
  await page.getByLabel(`New card in ${column}`).fill(title);
  await page.keyboard.press('Enter');
}

/** A field as this page shows it. */
export async function shown(page: Page, id: string, field: string): Promise<unknown> {
  return page.evaluate<unknown>(`${CLIENT}.record('${id}').getSnapshot()?.fields['${field}']`);
}

/** Waits until a page shows a value of a field. */
export async function shows(page: Page, id: string, field: string, value: unknown): Promise<void> {
  await until(page, `${CLIENT}.record('${id}').getSnapshot()?.fields['${field}'] === ${JSON.stringify(value)}`);
}

export async function saved(page: Page): Promise<void> {
  await until(page, `${CLIENT}.queue.getSnapshot().items.every((item) => item.status !== 'unsaved')`);
}

/** Titles of the cards of a column, as they are read. */
export async function titles(page: Page, column: string): Promise<string[]> {
  return page.locator(`.column[aria-label="${column}"] .card-title`).allTextContents();
}
