/** What a call asks of HTTP: a request whose body may go on while the answer comes. */
export interface HttpRequest {
  readonly url: string;
  readonly method: 'POST';
  readonly header: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly header: Headers;
  readonly body: AsyncIterable<Uint8Array>;
  /** Complete once the body has ended. */
  readonly trailer: Headers;
}

/** One request and its answer. Rejects when the network fails. */
export type Exchange = (request: HttpRequest) => Promise<HttpAnswer>;

/** By `fetch`, which sends a body only when all of it is there and gives no trailers. */
export async function exchangeByFetch({ url, method, header, body, signal }: HttpRequest): Promise<HttpAnswer> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  const answer = await fetch(url, { method, headers: header, body: joined(parts), signal });
  return { status: answer.status, header: answer.headers, body: chunksOf(answer.body), trailer: new Headers() };
}

async function* chunksOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array, void> {
  // Not every browser can iterate over a stream.
  const reader = body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The parts as one piece of memory, which is the part itself when there is only one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first as Uint8Array<ArrayBuffer>;
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
