import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Cursor, ReplicaId, Seq } from '../domain/ids.js';
import type { SubscribeRequestSchema } from '../gen/syncline/v1/change_service_pb.js';
import { BaseTransport, framesOf, type TransportOptions } from './connect.js';
import { Credentials } from './credentials.js';
import { Pushed } from './pushed.js';
import { StreamBeats } from './stream-beats.js';
import type { BeatSession, FeedSession, Transport } from './transport.js';
import { closedByUs } from './unary-beats.js';

/** A ping of HTTP/2 after so much silence; without an answer within the other the connection is gone. */
const PING_INTERVAL_MS = 20_000;
const PING_TIMEOUT_MS = 10_000;

/** gRPC over HTTP/2: Subscribe and KeepAlive, streams both ways. */
export function createNodeTransport(options: TransportOptions): Transport {
  const credentials = new Credentials(options.credentials);
  const sessions = new Http2SessionManager(options.url, {
    pingIntervalMs: PING_INTERVAL_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    pingIdleConnection: false,
  });
  const connect = createGrpcTransport({
    baseUrl: options.url,
    interceptors: [credentials.interceptor],
    sessionManager: sessions,
  });
  const shut = () => {
    sessions.abort();
  };
  return new NodeTransport({ ...options, connect, authorization: credentials, shut });
}

class NodeTransport extends BaseTransport {
  openFeed(cursor: Cursor | undefined, signal: AbortSignal): Promise<FeedSession> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const said = new Pushed<MessageInitShape<typeof SubscribeRequestSchema>>();
    said.push({ message: { case: 'start', value: this.feedStart(cursor) } });
    return Promise.resolve({
      frames: framesOf(this.changes.subscribe(said, { signal: both }), both),
      acknowledge: (seq) => {
        said.push({ message: { case: 'acknowledge', value: { seqInclusive: BigInt(seq) } } });
      },
      close: () => {
        said.end();
        ended.abort(closedByUs());
      },
    });
  }

  async startBeats(replicaId: ReplicaId | '', position: () => Seq, signal: AbortSignal): Promise<BeatSession> {
    const session = new StreamBeats(this.beatParts(replicaId, position), signal);
    await session.open();
    return session;
  }
}
