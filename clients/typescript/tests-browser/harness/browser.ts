import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';
import type { BrowserContext, Page } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** With SYNCLINE_PAGES the pages come from this folder instead of the server's own, for working on them. */
const PAGES = process.env['SYNCLINE_PAGES'];
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** One person's browser: a process with a profile of its own. */
export class Browser {
  /** What its pages complained about. */
  readonly complaints: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    private readonly profile: string,
  ) {}

  static async start(profile = mkdtempSync(join(tmpdir(), 'syncline-chromium-'))): Promise<Browser> {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      args: FLAGS,
      viewport: { width: 1280, height: 800 },
      colorScheme: 'light',
    });
    const browser = new Browser(context, profile);
    if (PAGES !== undefined) await context.route('**/*', (route) => servedFrom(PAGES, route));
    return browser;
  }

  /** A new tab with the board; ready when its cards are shown. */
  async board(url: string, query = ''): Promise<Page> {
    const page = await this.context.newPage();
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A server that was killed is in the console, too; that is no mistake of the page.
      if (message.type() === 'error' && !message.text().includes('net::ERR_')) this.complaints.push(message.text());
    });
    await page.goto(`${url}/${query}`);
    await page.waitForSelector('[data-card]');
    return page;
  }

  /** Kills the process of a tab; the browser lives on. */
  async crash(page: Page): Promise<void> {
    const session = await this.context.newCDPSession(page);
    const crashed = new Promise((resolve) => page.once('crash', resolve));
    session.send('Page.crash').catch(() => undefined);
    await crashed;
    await page.close();
  }

  /**
   * Stops everything a tab does, as a browser does to one that nobody looks at; the result lets it go on. Chromium
   * freezes hidden pages only, and without a screen all are visible, so the debugger holds it.
   */
  async freeze(page: Page): Promise<() => Promise<void>> {
    const session = await this.context.newCDPSession(page);
    const paused = new Promise((resolve) => session.once('Debugger.paused', resolve));
    await session.send('Debugger.enable');
    await session.send('Debugger.pause');
    await paused;
    return async () => {
      await session.send('Debugger.resume');
      await session.send('Debugger.disable');
    };
  }

  async stop(): Promise<void> {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}

async function servedFrom(folder: string, route: Parameters<Parameters<BrowserContext['route']>[1]>[0]): Promise<void> {
  const request = route.request();
  const { pathname } = new URL(request.url());
  const file = join(folder, pathname === '/' ? 'index.html' : pathname);
  if (request.method() !== 'GET' || !existsSync(file)) {
    await route.fallback();
    return;
  }
  await route.fulfill({
    body: readFileSync(file),
    contentType: TYPES[extname(file)] ?? 'application/octet-stream',
    headers: {
      'content-security-policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
    },
  });
}

/** Of numbers: the one below which a share lies. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))] ?? Number.NaN;
}

/** The clients of the page, as main.tsx leaves them for the console. */
export const CLIENT = 'globalThis.boards[0].client';

/** Waits until an expression in the page holds. Asked from outside: the page's policy forbids it to evaluate strings. */
export async function until(page: Page, condition: string, withinMs = 20_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await page.evaluate<unknown>(condition))) {
    if (Date.now() > end) {
      const state = await page.evaluate<unknown>(`JSON.stringify(${CLIENT}.connection.getSnapshot())`);
      throw new Error(`it never came: ${condition}; the connection: ${String(state)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
