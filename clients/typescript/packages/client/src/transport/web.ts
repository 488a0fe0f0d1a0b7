import { createGrpcWebTransport } from '@connectrpc/connect-web';
import type { Cursor, ReplicaId, Seq } from '../domain/ids.js';
import { BaseTransport, framesOf, type TransportOptions } from './connect.js';
import { Credentials } from './credentials.js';
import type { BeatSession, FeedSession, Transport } from './transport.js';
import { closedByUs, UnaryBeats } from './unary-beats.js';

/** gRPC-Web: Watch for the feed, unary beats. For browsers; runs wherever there is `fetch`. */
export function createWebTransport(options: TransportOptions): Transport {
  const credentials = new Credentials(options.credentials);
  const connect = createGrpcWebTransport({ baseUrl: options.url, interceptors: [credentials.interceptor] });
  return new WebTransport({ ...options, connect, authorization: credentials, shut: () => undefined });
}

class WebTransport extends BaseTransport {
  openFeed(cursor: Cursor | undefined, signal: AbortSignal): Promise<FeedSession> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const responses = this.changes.watch({ start: this.feedStart(cursor) }, { signal: both });
    return Promise.resolve({
      frames: framesOf(responses, both),
      acknowledge: () => undefined,
      close: () => {
        ended.abort(closedByUs());
      },
    });
  }

  async startBeats(replicaId: ReplicaId | '', position: () => Seq, signal: AbortSignal): Promise<BeatSession> {
    const session = new UnaryBeats(this.beatParts(replicaId, position), signal);
    await session.open();
    return session;
  }
}
