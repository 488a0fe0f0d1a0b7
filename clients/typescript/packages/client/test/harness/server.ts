import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { WorkspaceService } from '../../src/gen/syncline/v1/workspace_service_pb.js';

/** The server's binary: SYNCLINE_BIN, or what `cargo build` makes. */
export const SYNCLINE_BIN = resolve(process.env['SYNCLINE_BIN'] ?? '../../target/debug/syncline');

/** Whether tests against the real server can run. */
export function serverAvailable(): boolean {
  return existsSync(SYNCLINE_BIN);
}

/** How long a server may take to say that it listens. */
const START_WITHIN_MS = 20_000;

/** A real server over a database of its own, which outlives the process. */
export class TestServer {
  private process: ChildProcess | undefined;
  url = '';

  private constructor(
    private readonly folder: string,
    private readonly args: readonly string[],
  ) {}

  /** Starts a server on a free port over a fresh database. */
  static async start(...args: string[]): Promise<TestServer> {
    const server = new TestServer(mkdtempSync(join(tmpdir(), 'syncline-client-')), args);
    await server.run('127.0.0.1:0');
    return server;
  }

  /** Starts it again, on the same address and database. */
  async restart(): Promise<void> {
    await this.run(new URL(this.url).host);
  }

  /** The same as a crash: SIGKILL. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.end('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  get database(): string {
    return join(this.folder, 'syncline.db');
  }

  /** Makes a workspace, without a schema unless one is given. */
  async createWorkspace(workspaceId: string): Promise<void> {
    const client = createClient(WorkspaceService, createGrpcTransport({ baseUrl: this.url }));
    await client.createWorkspace({ workspaceId });
  }

  private async run(listen: string): Promise<void> {
    const args = ['serve', '--listen', listen, '--database-url', `sqlite:${this.database}`, '--metrics-listen', ''];
    const child = spawn(SYNCLINE_BIN, [...args, '--cors-origins', 'http://localhost:*', ...this.args], {
      stdio: ['ignore', 'pipe', process.env['SYNCLINE_TEST_LOG'] === undefined ? 'ignore' : 'inherit'],
    });
    this.process = child;
    this.url = await new Promise<string>((found, failed) => {
      const timer = setTimeout(() => {
        failed(new Error('the server did not say where it listens'));
      }, START_WITHIN_MS);
      child.once('exit', (code) => {
        failed(new Error(`the server ended with ${code}`));
      });
      createInterface({ input: child.stdout }).on('line', (line) => {
        const address = /listens on (http:\/\/\S+)/.exec(line)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        found(address);
      });
    });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await ended;
  }
}
