import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy before a server, with faults on demand. */
export class FaultyProxy {
  private readonly sockets = new Set<Socket>();
  private swallowing = false;
  private refusing = false;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static start(targetUrl: string): Promise<FaultyProxy> {
    const target = new URL(targetUrl);
    return new Promise((resolve) => {
      let proxy: FaultyProxy | undefined;
      const server = createServer((socket) => {
        proxy?.accept(socket, Number(target.port), target.hostname);
      });
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        const port = typeof address === 'object' && address !== null ? address.port : 0;
        proxy = new FaultyProxy(server, `http://127.0.0.1:${port}`);
        resolve(proxy);
      });
    });
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
    this.sockets.clear();
  }

  /** Requests still arrive; answers do not. Ends with a cut: what was sent has an unknown outcome. */
  swallowAnswers(on: boolean): void {
    this.swallowing = on;
    if (!on) this.cut();
  }

  /** Nobody gets through. */
  refuse(on: boolean): void {
    this.refusing = on;
    if (on) this.cut();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((done) => this.server.close(done));
  }

  private accept(client: Socket, port: number, host: string): void {
    if (this.refusing) {
      client.destroy();
      return;
    }
    const server = connect(port, host);
    this.sockets.add(client).add(server);
    const end = () => {
      client.destroy();
      server.destroy();
      this.sockets.delete(client);
      this.sockets.delete(server);
    };
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => {
      if (!this.swallowing) client.write(bytes);
    });
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('close', end);
      socket.on('error', end);
    }
  }
}
