import type { MessageInitShape } from '@bufbuild/protobuf';
import { createNodeHttpClient, Http2SessionManager } from '@connectrpc/connect-node';
import type { FeedOrigin } from '../domain/change.js';
import type { ReplicaId, Seq } from '../domain/ids.js';
import type { SubscribeRequestSchema } from '../gen/syncline/v1/change_service_pb.js';
import { changeServiceSubscribe } from '../gen/tables.js';
import { BaseTransport, framesOf, type TransportOptions } from './base.js';
import { Credentials } from './credentials.js';
import type { Exchange } from './exchange.js';
import { GrpcCaller } from './grpc.js';
import { Pushed } from './pushed.js';
import { StreamHeartbeats } from './stream-heartbeats.js';
import type { HeartbeatSession, FeedSession, Transport } from './transport.js';
import { closedByUs } from './unary-heartbeats.js';

/** A ping of HTTP/2 after so much silence; without an answer within the other the connection is gone. */
const PING_INTERVAL_MS = 20_000;
const PING_TIMEOUT_MS = 10_000;

/** gRPC over HTTP/2: Subscribe and KeepAlive, streams both ways. */
export function createNodeTransport(options: TransportOptions): Transport {
  const { url, clock } = options;
  const credentials = new Credentials(options.credentials);
  const sessions = new Http2SessionManager(url, {
    pingIntervalMs: PING_INTERVAL_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    pingIdleConnection: false,
  });
  const http = createNodeHttpClient({ httpVersion: '2', sessionProvider: () => sessions });
  const exchange: Exchange = async (request) => {
    const answer = await http(request);
    return { ...answer, body: plainBytes(answer.body) };
  };
  const caller = new GrpcCaller({ url, protocol: 'grpc', exchange, credentials, clock });
  const shut = () => {
    sessions.abort();
  };
  return new NodeTransport({ ...options, caller, authorization: credentials, shut });
}

/** Node gives its own kind of arrays, which differ in what `slice` and equality mean. */
async function* plainBytes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

class NodeTransport extends BaseTransport {
  openFeed(origin: FeedOrigin, signal: AbortSignal): Promise<FeedSession> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const said = new Pushed<MessageInitShape<typeof SubscribeRequestSchema>>();
    said.push({ message: { case: 'start', value: this.feedStart(origin) } });
    return Promise.resolve({
      frames: framesOf(this.parts.caller.stream(changeServiceSubscribe, said, both), both),
      acknowledge: (seq) => {
        said.push({ message: { case: 'acknowledge', value: { seqInclusive: BigInt(seq) } } });
      },
      close: () => {
        said.end();
        ended.abort(closedByUs());
      },
    });
  }

  async startHeartbeats(
    replicaId: ReplicaId | '',
    position: () => Seq,
    signal: AbortSignal,
  ): Promise<HeartbeatSession> {
    const session = new StreamHeartbeats(this.heartbeatParts(replicaId, position), signal);
    await session.open();
    return session;
  }
}
