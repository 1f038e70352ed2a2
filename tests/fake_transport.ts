/** Transports whose dials end as the test says, for tests of the choice among transports. */

import { Arrivals } from "../core/arrivals.ts";
import { type ErrorCode, TunnelError } from "../core/errors.ts";
import type {
  CloseInfo,
  ConnectOptions,
  Listener,
  Session,
  Stream,
  Transport,
} from "../core/transport.ts";
import { Connector, type ConnectorOptions } from "../transports/connector.ts";
import { bounded } from "./bounded.ts";

/** The longest that a timer can be set to, in milliseconds. */
export const NEVER = 2 ** 31 - 1;

/** A connector that prefers a fake QUIC to a fake WebSocket; neither grace nor head start ends. */
export function fakeConnector(options: Partial<ConnectorOptions> = {}) {
  const quic = new FakeTransport("quic");
  const websocket = new FakeTransport("websocket");
  const transports = [quic, websocket];
  const connector = new Connector({ transports, headStart: NEVER, grace: NEVER, ...options });
  return { quic, websocket, connector };
}

/** One dial; it takes no notice of its signal, as one that comes too late does. */
export interface FakeDial {
  readonly url: URL;
  readonly options: ConnectOptions;
  readonly signal: AbortSignal;
  succeed(): FakeSession;
  fail(state: string, code?: ErrorCode): void;
}

export class FakeTransport implements Transport {
  /** Those that have begun, oldest first. */
  readonly dials: FakeDial[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(readonly name: string) {}

  connect(url: URL, options: ConnectOptions = {}): Promise<Session> {
    const { promise, resolve, reject } = Promise.withResolvers<Session>();
    this.dials.push({
      url,
      options,
      signal: options.signal!,
      succeed: () => {
        const session = new FakeSession(this.name);
        resolve(session);
        return session;
      },
      fail: (state, code = "unreachable") =>
        reject(new TunnelError(code, { action: `dial ${url.host}`, state })),
    });
    for (const wake of this.#waiting.splice(0)) wake();
    return promise;
  }

  /** The dial of that index, as soon as it has begun. */
  async dial(index = 0): Promise<FakeDial> {
    while (this.dials.length <= index) {
      const begun = new Promise<void>((resolve) => this.#waiting.push(resolve));
      await bounded(`dial ${index} by ${this.name}`, begun);
    }
    return this.dials[index]!;
  }

  listen(): Promise<Listener> {
    throw new Error("this transport only dials");
  }
}

/** A session that is only there to be closed. */
export class FakeSession implements Session {
  readonly remote = { hostname: "fake", port: 1 };
  readonly incoming = new Arrivals();
  readonly closed: Promise<CloseInfo>;
  readonly #closed = Promise.withResolvers<CloseInfo>();

  constructor(readonly transport: string) {
    this.closed = this.#closed.promise;
  }

  openStream(): Promise<Stream> {
    throw new Error("this session has no streams");
  }

  close(info: CloseInfo = { code: 0, reason: "" }): void {
    this.#closed.resolve(info);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
