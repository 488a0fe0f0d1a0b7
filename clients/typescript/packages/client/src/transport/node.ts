import type { Interceptor } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Cursor, ReplicaId, Seq } from '../domain/ids.js';
import type { SubscribeRequestSchema } from '../gen/syncline/v1/change_service_pb.js';
import { BaseTransport, framesOf, type ConnectParts, type TransportOptions } from './base.js';
import { ConnectCaller, withFailures } from './connect-caller.js';
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
  const authorization = new Credentials(options.credentials);
  const authorize: Interceptor = (next) => async (request) => {
    const value = await authorization.get();
    if (value !== undefined) request.header.set('authorization', value);
    return next(request);
  };
  const sessions = new Http2SessionManager(options.url, {
    pingIntervalMs: PING_INTERVAL_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    pingIdleConnection: false,
  });
  const connect = createGrpcTransport({
    baseUrl: options.url,
    interceptors: [authorize],
    sessionManager: sessions,
  });
  const shut = () => {
    sessions.abort();
  };
  return new NodeTransport({ ...options, caller: new ConnectCaller(connect), authorization, shut });
}

class NodeTransport extends BaseTransport {
  constructor(protected override readonly parts: ConnectParts & { readonly caller: ConnectCaller }) {
    super(parts);
  }

  openFeed(cursor: Cursor | undefined, signal: AbortSignal): Promise<FeedSession> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const said = new Pushed<MessageInitShape<typeof SubscribeRequestSchema>>();
    said.push({ message: { case: 'start', value: this.feedStart(cursor) } });
    return Promise.resolve({
      frames: framesOf(withFailures(this.parts.caller.changes.subscribe(said, { signal: both })), both),
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
    const session = new StreamBeats(this.beatParts(replicaId, position), this.parts.caller.connections, signal);
    await session.open();
    return session;
  }
}
