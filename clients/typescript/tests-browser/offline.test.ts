import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  addCard,
  closePanel,
  goOffline,
  goOnline,
  openCard,
  saved,
  settled,
  shown,
  shows,
  titles,
  write,
} from './harness/acts.js';
import { Browser, CLIENT, until } from './harness/browser.js';
import { DevServer } from './harness/server.js';

let server: DevServer;
const browsers: Browser[] = [];
const person = async () => {
  const browser = await Browser.start();
  browsers.push(browser);
  return browser;
};
beforeAll(async () => {
  server = await DevServer.start();
});
afterEach(async () => {
  for (const browser of browsers.splice(0)) {
    expect(browser.complaints).toEqual([]);
    await browser.stop();
  }
});
afterAll(() => server.stop());

describe('offline', () => {
  it('edits, a reload, more edits, and everything syncs with progress to be seen', async () => {
    const ada = await person();
    let page = await ada.board(server.url, '?name=Ada');
    const other = await (await person()).board(server.url, '?name=Grace');
    await settled(page);
    await goOffline(page);
    await page.getByText('You are working offline.').waitFor();
    await addCard(page, 'To do', 'Written offline');
    await write(page, 'card-3', 'End', ' Offline, too.');
    await saved(page);
    await page.reload();
    page = ada.context.pages().at(-1) ?? page;
    await page.waitForSelector('[data-card]');
    // Asking offline was for this visit; the test asks again before anything can be sent.
    await page.evaluate(`${CLIENT}.connection.goOffline()`);
    expect(await titles(page, 'To do')).toContain('Written offline');
    expect(await shown(page, 'card-3', 'body')).toContain('Offline, too.');
    // Many more, so that sending takes a while.
    await page.evaluate(async () => {
      const { client } = globalThis.boards[0] as (typeof globalThis.boards)[number];
      for (let i = 0; i < 400; i += 1) {
        client.mutate((tx) => {
          tx.increment('card-1', 'votes');
        });
        if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve));
      }
    });
    await saved(page);
    await page.evaluate(() => {
      const words = new Set<string>();
      const look = () => words.add(document.querySelector('.syncline-status')?.textContent ?? '');
      const status = document.querySelector('.syncline-status');
      if (status)
        new MutationObserver(look).observe(status, {
          childList: true,
          characterData: true,
          subtree: true,
          attributes: true,
        });
      Object.assign(globalThis, { words });
    });
    await page.evaluate(`${CLIENT}.connection.goOnline()`);
    await settled(page);
    await until(page, `${CLIENT}.connection.getSnapshot().state === 'online'`);
    expect(await page.locator('.syncline-status').isHidden()).toBe(true);
    // What its person could read meanwhile.
    const words = await page.evaluate(() => [...(globalThis as unknown as { words: Set<string> }).words]);
    console.log(`while it synced: ${words.filter((text) => text !== '').join(' | ')}`);
    await shows(other, 'card-1', 'votes', 400);
    expect(await titles(other, 'To do')).toContain('Written offline');
    expect(await shown(other, 'card-3', 'body')).toContain('Offline, too.');
  });

  it('two people write into one text; both are in it, and it is the same for both', async () => {
    const ada = await (await person()).board(server.url, '?name=Ada');
    const grace = await (await person()).board(server.url, '?name=Grace');
    await settled(ada);
    await settled(grace);
    const before = await shown(ada, 'card-4', 'body');
    await goOffline(ada);
    await goOffline(grace);
    await write(ada, 'card-4', 'Home', 'Decided: ');
    await write(grace, 'card-4', 'End', ' Good.');
    await goOnline(ada);
    await goOnline(grace);
    const merged = `Decided: ${String(before)} Good.`;
    await shows(ada, 'card-4', 'body', merged);
    await shows(grace, 'card-4', 'body', merged);
  });

  it('the caret stays where one types while another writes before it', async () => {
    const ada = await (await person()).board(server.url, '?name=Ada');
    const grace = await (await person()).board(server.url, '?name=Grace');
    await settled(ada);
    await openCard(ada, 'card-2');
    await ada.locator('.details textarea').click();
    await ada.keyboard.press('Control+End');
    await ada.keyboard.type(' abc');
    await settled(ada);
    await write(grace, 'card-2', 'Home', 'First: ');
    await until(ada, `document.querySelector('.details textarea').value.startsWith('First: ')`);
    await ada.keyboard.type('def');
    expect(await ada.locator('.details textarea').inputValue()).toBe('First: Start with the first chapter. abcdef');
    await shows(grace, 'card-2', 'body', 'First: Start with the first chapter. abcdef');
  });

  it('what the server refuses is rolled back with a notice, and its words are kept', async () => {
    const ada = await (await person()).board(server.url, '?name=Ada');
    const grace = await (await person()).board(server.url, '?name=Grace');
    await settled(ada);
    await settled(grace);
    await goOffline(grace);
    // Both take the same id, for a person here and for a card there: the second cannot be.
    await grace.evaluate(() => {
      globalThis.boards[0]?.client.mutate((tx) => {
        tx.create('cards', 'taken', { title: 'My idea', body: 'All of what I wrote about it.', column: 'doing' });
      });
    });
    await write(grace, 'taken', 'End', ' And more.');
    await ada.evaluate(() => {
      globalThis.boards[0]?.client.mutate((tx) => {
        tx.create('people', 'taken', { name: 'Somebody' });
      });
    });
    await settled(ada);
    expect(await titles(grace, 'Doing')).toContain('My idea');
    await goOnline(grace);
    await grace.getByText('A change was undone').first().waitFor();
    await until(grace, `document.querySelector('[data-card="taken"]') === null`);
    await grace.getByRole('button', { name: /^Refused/ }).click();
    const kept = grace.locator('.syncline-rejected');
    expect(await kept.textContent()).toContain('All of what I wrote about it.');
    expect(await kept.textContent()).toContain('And more.');
    // What came after it was not held up.
    await closePanel(grace);
    await addCard(grace, 'Done', 'After the refusal');
    await until(ada, `document.body.textContent.includes('After the refusal')`);
  });
});
