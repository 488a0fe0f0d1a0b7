import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WorkspaceService } from '../packages/client/src/gen/syncline/v1/workspace_service_pb.js';
import { addCard, goOffline, goOnline, openCard, rename, settled, write } from './harness/acts.js';
import { Browser, CLIENT, until } from './harness/browser.js';
import { DevServer } from './harness/server.js';

/** Every state in every look, for people to look at; and none of them with a problem that axe can find. */
const FOLDER = process.env['SCREENSHOTS'] ?? join(import.meta.dirname, '../../../target/screenshots');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const LOOKS = ['modern-light', 'modern-dark', 'nextstep-light', 'nextstep-dark'] as const;
type Look = (typeof LOOKS)[number];

let server: DevServer;
let ada: Browser;
let grace: Browser;
const problems: string[] = [];

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  server = await DevServer.start();
  ada = await Browser.start();
  grace = await Browser.start();
});
afterAll(async () => {
  await ada.stop();
  await grace.stop();
  await server.stop();
});

// A test that failed leaves no tab behind for the next.
afterEach(async () => {
  for (const browser of [ada, grace]) {
    for (const page of browser.context.pages().slice(1)) await page.close();
  }
});

/** Sets the look without a reload, so that a state can be seen in all of them. */
async function look(page: Page, name: Look): Promise<void> {
  const [theme, scheme] = name.split('-');
  await page.getByRole('button', { name: theme === 'modern' ? 'Modern' : 'NeXTSTEP', exact: true }).click();
  await page.getByRole('button', { name: scheme === 'light' ? 'Light' : 'Dark', exact: true }).click();
}

/** One state in every look, with axe. */
async function show(page: Page, state: string): Promise<void> {
  for (const name of LOOKS) {
    await look(page, name);
    await page.screenshot({ path: join(FOLDER, `${state}-${name}.png`), animations: 'disabled' });
    if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(AXE);
    const found = await page.evaluate<string[]>(
      `axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap((violation) =>
        violation.nodes.map((node) => violation.id + ': ' + node.html.slice(0, 160) + ' ' + (node.any[0]?.message ?? ''))))`,
    );
    problems.push(...found.map((problem) => `${state}, ${name}: ${problem}`));
  }
}

const noProblems = () => {
  expect(problems.splice(0)).toEqual([]);
};

describe('how it looks', () => {
  it('when all is well', async () => {
    const page = await ada.board(server.url, '?name=Ada');
    await grace.board(server.url, '?name=Grace');
    await settled(page);
    await until(page, `${CLIENT}.presence.getSnapshot().length > 1`, 60_000);
    await show(page, 'board');
    await openCard(page, 'card-1');
    await show(page, 'card');
    await page.close();
    noProblems();
  });

  it('before there is anything to show', async () => {
    const workspaces = createClient(WorkspaceService, createGrpcTransport({ baseUrl: server.url }));
    await workspaces.createWorkspace({ workspaceId: 'blank' });
    for (const [state, query, text] of [
      ['empty', '?workspace=blank', 'This board is empty'],
      ['unknown-workspace', '?workspace=nowhere', 'There is no workspace'],
    ] as const) {
      const page = await ada.context.newPage();
      await page.goto(`${server.url}/${query}&name=Ada`);
      await page.getByText(text).waitFor();
      await show(page, state);
      await page.close();
    }
    const page = await ada.context.newPage();
    await page.route(/syncline\.v1/, () => undefined);
    await page.goto(`${server.url}/?workspace=slow&name=Ada`);
    await page.getByText('Loading the board').waitFor();
    await show(page, 'loading');
    await page.close();
    noProblems();
  });

  it('when something is wrong', async () => {
    const page = await ada.board(server.url, '?name=Ada');
    await settled(page);
    await goOffline(page);
    await addCard(page, 'To do', 'Written offline');
    await page.getByText('1 change kept here').waitFor();
    await show(page, 'offline');
    await goOnline(page);
    await settled(page);
    await page.evaluate(`${CLIENT}.queue.pause()`);
    await addCard(page, 'To do', 'Waits');
    await until(page, `${CLIENT}.connection.getSnapshot().state === 'degraded'`);
    await show(page, 'degraded');
    await page.getByRole('button', { name: 'Send again' }).click();
    await settled(page);
    await server.kill();
    await until(page, `${CLIENT}.connection.getSnapshot().state === 'reconnecting'`, 60_000);
    await show(page, 'reconnecting');
    await page.evaluate(() => {
      const { client } = globalThis.boards[0] as (typeof globalThis.boards)[number];
      for (let i = 0; i < 3_000; i += 1) {
        client.mutate((tx) => {
          tx.increment('card-4', 'votes');
        });
      }
    });
    await server.run();
    await page.evaluate(`${CLIENT}.connection.goOnline()`);
    await until(page, `${CLIENT}.connection.getSnapshot().state === 'syncing'`, 30_000);
    await page.screenshot({ path: join(FOLDER, 'syncing-nextstep-dark.png'), animations: 'disabled' });
    await look(page, 'modern-light');
    await page.screenshot({ path: join(FOLDER, 'syncing-modern-light.png'), animations: 'disabled' });
    await until(page, `${CLIENT}.queue.getSnapshot().pending === 0`, 60_000);
    await page.close();
    noProblems();
  });

  it('when there is something to decide', async () => {
    const page = await ada.board(server.url, '?name=Ada');
    const other = await grace.board(server.url, '?name=Grace');
    const open = async () => {
      await page
        .getByRole('button', { name: /^Conflicts/ })
        .first()
        .click();
      await page.locator('.syncline-sides').waitFor();
    };
    const apart = async (edit: (one: Page, mine: boolean) => Promise<void>) => {
      for (const one of [page, other]) {
        await settled(one);
        await goOffline(one);
      }
      await edit(page, true);
      await edit(other, false);
      for (const one of [page, other]) {
        await goOnline(one);
        await settled(one);
      }
    };
    await apart((one, mine) => rename(one, 'card-1', mine ? 'Plan the big launch' : 'Plan the quiet launch'));
    await until(page, `${CLIENT}.conflicts.getSnapshot().length === 1`);
    await open();
    await show(page, 'conflict');
    await page.keyboard.press('Escape');
    await apart(async (one, mine) => {
      await openCard(one, 'card-3');
      await one
        .locator('.details textarea')
        .fill(mine ? 'Write to each of them by hand.' : 'Call everybody on the phone!');
      await one.keyboard.press('Escape');
    });
    await until(page, `${CLIENT}.conflicts.getSnapshot().length === 2`);
    await open();
    await page.getByRole('button', { name: /Overlapping edits/ }).click();
    await page.locator('.syncline-sides ins').first().waitFor();
    await show(page, 'conflict-of-text');
    await page.getByRole('button', { name: 'Put aside' }).click();
    await page.getByText('Put aside until').waitFor();
    await show(page, 'conflict-put-aside');
    await page.close();
    await other.close();
    noProblems();
  });

  it('when the server refused something', async () => {
    const page = await ada.board(server.url, '?name=Ada');
    const other = await grace.board(server.url, '?name=Grace');
    await settled(page);
    await settled(other);
    await goOffline(page);
    await page.evaluate(() => {
      globalThis.boards[0]?.client.mutate((tx) => {
        tx.create('cards', 'taken', { title: 'My idea', body: 'All of what I wrote about it.', column: 'doing' });
      });
    });
    await other.evaluate(() => {
      globalThis.boards[0]?.client.mutate((tx) => {
        tx.create('people', 'taken', { name: 'Somebody' });
      });
    });
    await settled(other);
    await goOnline(page);
    await page.getByText('A change was undone').waitFor();
    await show(page, 'notice');
    await page.getByRole('button', { name: /^Refused/ }).click();
    await page.locator('.syncline-rejected-item').waitFor();
    await show(page, 'refused');
    await page.close();
    noProblems();
  });

  it('with two people side by side, one of them offline', async () => {
    const page = await ada.context.newPage();
    await page.setViewportSize({ width: 1440, height: 820 });
    await page.goto(`${server.url}/?people=2`);
    await page.waitForFunction(() => document.querySelectorAll('[data-card="card-2"]').length === 2);
    await page.getByRole('switch').first().click();
    const [left] = [page.locator('.person').first()];
    await left.getByText('You are working offline').waitFor();
    await left.getByLabel('New card in To do').fill('Only here, for now');
    await page.keyboard.press('Enter');
    await left.locator('[data-card="card-2"] .votes').click();
    await show(page, 'two-people');
    await page.getByRole('switch').first().click();
    await page.waitForFunction(() => document.body.textContent.split('Only here, for now').length === 3);
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto(`${server.url}/?name=Ada`);
    await page.waitForSelector('[data-card]');
    await show(page, 'phone');
    await write(page, 'card-2', 'End', '!');
    await page.close();
    noProblems();
  });
});
