import type { FeedOrigin } from '../domain/change.js';
import type { ReplicaId, Seq } from '../domain/ids.js';
import { changeServiceWatch } from '../gen/tables.js';
import { BaseTransport, framesOf, type TransportOptions } from './base.js';
import { Credentials } from './credentials.js';
import { exchangeByFetch } from './exchange.js';
import { GrpcCaller, once } from './grpc.js';
import type { HeartbeatSession, FeedSession, Transport } from './transport.js';
import { closedByUs, UnaryHeartbeats } from './unary-heartbeats.js';

/** gRPC-Web: Watch for the feed, unary heartbeats. For browsers; runs wherever there is `fetch`. */
export function createWebTransport(options: TransportOptions): Transport {
  const { url, clock } = options;
  const credentials = new Credentials(options.credentials);
  const caller = new GrpcCaller({ url, protocol: 'grpc-web', exchange: exchangeByFetch, credentials, clock });
  return new WebTransport({ ...options, caller, authorization: credentials, shut: () => undefined });
}

class WebTransport extends BaseTransport {
  openFeed(origin: FeedOrigin, signal: AbortSignal): Promise<FeedSession> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const responses = this.parts.caller.stream(changeServiceWatch, once({ start: this.feedStart(origin) }), both);
    return Promise.resolve({
      frames: framesOf(responses, both),
      acknowledge: () => undefined,
      close: () => {
        ended.abort(closedByUs());
      },
    });
  }

  async startHeartbeats(
    replicaId: ReplicaId | '',
    position: () => Seq,
    signal: AbortSignal,
  ): Promise<HeartbeatSession> {
    const session = new UnaryHeartbeats(this.heartbeatParts(replicaId, position), signal);
    await session.open();
    return session;
  }
}
