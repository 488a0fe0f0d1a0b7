import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** The server's binary: SYNCLINE_BIN, or what `cargo build` makes. */
export const SYNCLINE_BIN = resolve(
  process.env['SYNCLINE_BIN'] ?? join(import.meta.dirname, '../../../../target/debug/syncline'),
);

const START_WITHIN_MS = 20_000;

/** `syncline dev` with its example workspace, in a folder of its own. */
export class DevServer {
  private process: ChildProcess | undefined;

  private constructor(
    private readonly folder: string,
    readonly port: number,
  ) {}

  static async start(): Promise<DevServer> {
    if (!existsSync(SYNCLINE_BIN))
      throw new Error(`there is no server at ${SYNCLINE_BIN}: cargo build, or set SYNCLINE_BIN`);
    const server = new DevServer(mkdtempSync(join(tmpdir(), 'syncline-browser-')), await freePort());
    await server.run();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.port)}`;
  }

  /** Starts it, the same database on the same port; also after `kill`. */
  async run(): Promise<void> {
    const listen = `127.0.0.1:${String(this.port)}`;
    const args = ['dev', '--listen', listen, '--metrics-listen', '', '--heartbeat-interval-seconds', '2'];
    const child = spawn(SYNCLINE_BIN, args, {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', process.env['SYNCLINE_TEST_LOG'] === undefined ? 'ignore' : 'inherit'],
    });
    this.process = child;
    await new Promise<void>((ready, failed) => {
      const timer = setTimeout(() => {
        failed(new Error('the server did not say that it is ready'));
      }, START_WITHIN_MS);
      child.once('exit', (code) => {
        failed(new Error(`the server ended with ${String(code)}`));
      });
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.includes('is ready on')) return;
        clearTimeout(timer);
        ready();
      });
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => {
        found(port);
      });
    });
  });
}
