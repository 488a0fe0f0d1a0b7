import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addCard, goOffline, openCard, saved, settled, shown, shows, titles } from './harness/acts.js';
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
  for (const browser of browsers.splice(0)) await browser.stop();
});
afterAll(() => server.stop());

describe('nothing that was saved is lost', () => {
  it('when the server is killed again and again during edits', async () => {
    const page = await (await person()).board(server.url, '?name=Ada');
    await settled(page);
    await page.evaluate(() => {
      const { client } = globalThis.boards[0] as (typeof globalThis.boards)[number];
      const state = { made: 0, going: true };
      Object.assign(globalThis, { state });
      const edit = () => {
        if (!state.going) return;
        client.mutate((tx) => {
          tx.increment('card-3', 'votes');
        });
        state.made += 1;
        setTimeout(edit, 10);
      };
      edit();
    });
    for (let i = 0; i < 3; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await server.kill();
      await page
        .getByText(/Offline|Reconnecting/)
        .first()
        .waitFor();
      await server.run();
      await page.evaluate(`${CLIENT}.connection.goOnline()`);
      await until(page, `${CLIENT}.connection.getSnapshot().transport === 'up'`);
    }
    const made = await page.evaluate(() => {
      const { state } = globalThis as unknown as { state: { made: number; going: boolean } };
      state.going = false;
      return state.made;
    });
    await settled(page);
    expect(await shown(page, 'card-3', 'votes')).toBe(made);
    // And a browser that never knew of it sees the same.
    const other = await (await person()).board(server.url, '?name=Grace');
    await shows(other, 'card-3', 'votes', made);
    await until(page, `${CLIENT}.connection.getSnapshot().state === 'online'`);
    expect(await page.locator('.syncline-status').isHidden()).toBe(true);
  });

  it('when the tab is killed while somebody types', async () => {
    const browser = await person();
    const page = await browser.board(server.url, '?name=Ada');
    await settled(page);
    await goOffline(page);
    await addCard(page, 'To do', 'Before the crash');
    await openCard(page, 'card-1');
    await page.locator('.details textarea').click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type(' Typed until the tab died.');
    await saved(page);
    await browser.crash(page);
    const again = await browser.board(server.url, '?name=Ada');
    expect(await titles(again, 'To do')).toContain('Before the crash');
    expect(await shown(again, 'card-1', 'body')).toContain('Typed until the tab died.');
    await settled(again);
    const other = await (await person()).board(server.url, '?name=Grace');
    await until(other, `document.body.textContent.includes('Before the crash')`);
    expect(await shown(other, 'card-1', 'body')).toContain('Typed until the tab died.');
  });
});

describe('several tabs of one browser', () => {
  it('go on when the leading one is closed, and its queue is sent by another', async () => {
    const browser = await person();
    const leader = await browser.board(server.url, '?name=Ada');
    await until(leader, `${CLIENT}.connection.getSnapshot().role === 'leader'`);
    const follower = await browser.board(server.url, '?name=Ada');
    expect(await follower.evaluate(`${CLIENT}.connection.getSnapshot().role`)).toBe('follower');
    await settled(leader);
    await addCard(leader, 'Doing', 'Made by the closed tab');
    await saved(leader);
    await leader.close();
    await until(follower, `${CLIENT}.connection.getSnapshot().role === 'leader'`);
    await until(follower, `document.body.textContent.includes('Made by the closed tab')`);
    const other = await (await person()).board(server.url, '?name=Grace');
    await until(other, `document.body.textContent.includes('Made by the closed tab')`);
    await addCard(other, 'Doing', 'Seen after the change');
    await until(follower, `document.body.textContent.includes('Seen after the change')`);
  });

  it('go on when the leading one is frozen', async () => {
    const browser = await person();
    const leader = await browser.board(server.url, '?name=Ada');
    await until(leader, `${CLIENT}.connection.getSnapshot().role === 'leader'`);
    const follower = await browser.board(server.url, '?name=Ada');
    await settled(leader);
    const thaw = await browser.freeze(leader);
    await until(follower, `${CLIENT}.connection.getSnapshot().role === 'leader'`, 40_000);
    await addCard(follower, 'Done', 'Written past a frozen tab');
    await settled(follower);
    const other = await (await person()).board(server.url, '?name=Grace');
    await until(other, `document.body.textContent.includes('Written past a frozen tab')`);
    await thaw();
    await until(leader, `${CLIENT}.connection.getSnapshot().role === 'follower'`, 40_000);
    await until(leader, `document.body.textContent.includes('Written past a frozen tab')`);
  });
});
