import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { ConnectionEnd } from '../../src/gen/syncline/v1/connection_service_pb.js';
import { FakeClock, settle } from '../harness/fake-clock.js';
import type { Caller } from '../../src/transport/caller.js';
import { Pushed } from '../../src/transport/pushed.js';
import { StreamHeartbeats } from '../../src/transport/stream-heartbeats.js';
import { UnaryHeartbeats } from '../../src/transport/unary-heartbeats.js';
import { decode, encode, type Method } from '../../src/wire/codec.js';

const WHO = { workspaceId: 'w', replicaId: 'r', clientName: 'n', actor: 'ann' };
const server = { headSeq: 5n, epoch: 7n, heartbeatIntervalMs: 1_000n, leaseMs: 2_500n };

/** A server of heartbeats: every request as it came, and answers that go through their bytes. */
class HeartbeatServer implements Caller {
  readonly asked: object[] = [];
  readonly answers = new Pushed<object>();

  async unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const message = decode(method.request, encode(method.request, request)) as object;
    this.asked.push(message);
    await Promise.resolve();
    const answer = { connectionId: 'c', heartbeat: { heartbeatId: 1n }, server };
    return decode(method.response, encode(method.response, answer as never));
  }

  async *stream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
  ): AsyncIterable<MessageShape<O>> {
    void (async () => {
      for await (const request of requests) {
        this.asked.push(decode(method.request, encode(method.request, request)) as object);
      }
    })();
    for await (const answer of this.answers) {
      yield decode(method.response, encode(method.response, answer as never));
    }
  }
}

function parts(caller: Caller, clock: FakeClock): ConstructorParameters<typeof UnaryHeartbeats>[0] {
  return { ...WHO, replicaId: 'r', caller, clock, position: () => 3 };
}

describe('heartbeats', () => {
  it('by calls: the first opens the connection, the others name it, all of them the workspace', async () => {
    const [caller, clock] = [new HeartbeatServer(), new FakeClock()];
    const heartbeats = new UnaryHeartbeats(parts(caller, clock), new AbortController().signal);
    await heartbeats.open();
    await clock.advance(1_000);
    await heartbeats.close();
    expect(caller.asked).toMatchObject([
      { workspaceId: 'w', connection: { case: 'start', value: WHO }, heartbeat: { heartbeatId: 1n, seq: 3n } },
      { workspaceId: 'w', connection: { case: 'connectionId', value: 'c' }, heartbeat: { heartbeatId: 2n } },
      { workspaceId: 'w', connectionId: 'c' },
    ]);
    const { value } = await heartbeats.reports[Symbol.asyncIterator]().next();
    expect(value).toMatchObject({ headSeq: 5, epoch: '7', heartbeatIntervalMs: 1_000 });
  });

  it('by stream: start, then heartbeats that echo once; the end of the stream has a reason', async () => {
    const [caller, clock] = [new HeartbeatServer(), new FakeClock()];
    const heartbeats = new StreamHeartbeats(parts(caller, clock), new AbortController().signal);
    const heartbeat = { heartbeatId: 1n, echoHeartbeatId: 1n, echoDelayUs: 0n };
    caller.answers.push({ connectionId: 'c', heartbeat, server });
    await heartbeats.open();
    await settle();
    expect(caller.asked).toMatchObject([
      { message: { case: 'start', value: WHO } },
      { message: { case: 'heartbeat', value: { heartbeatId: 1n, echoHeartbeatId: 0n, seq: 3n } } },
      { message: { case: 'heartbeat', value: { heartbeatId: 2n, echoHeartbeatId: 1n } } },
    ]);
    caller.answers.push({ connectionId: 'c', heartbeat: { heartbeatId: 2n }, server, end: ConnectionEnd.DRAINING });
    const reports = [];
    for await (const report of heartbeats.reports) reports.push(report);
    expect(reports).toMatchObject([{ roundTripMs: 0, headSeq: 5 }, { headSeq: 5 }]);
    await settle();
    // The last one is not answered.
    expect(caller.asked).toHaveLength(3);
  });
});
