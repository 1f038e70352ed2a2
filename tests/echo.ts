/** A local server that sends back what it gets, and connections to it through a tunnel. */

import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";

/** A local server that sends back what it gets. */
export function echoServer(): AsyncDisposable & { port: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of listener) {
      conn.readable.pipeTo(conn.writable).catch(() => {}); // Its other end has gone.
    }
  })();
  return {
    port: String(listener.addr.port),
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

/** A connection to an echo server, through whatever is in between. */
export class Echo implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async open(port: number): Promise<Echo> {
    const echo = new Echo(await Deno.connect({ hostname: "127.0.0.1", port }));
    await echo.works();
    return echo;
  }

  /** Sends a byte and gets it back. */
  async works(): Promise<void> {
    const buffer = new Uint8Array(1);
    await this.#conn.write(Uint8Array.of(7));
    assert.is(await bounded("an echo", this.#conn.read(buffer)), 1);
    assert.is(buffer[0], 7);
  }

  /** Settles when the other end has ended it, one way or the other. */
  async ended(): Promise<void> {
    const buffer = new Uint8Array(1);
    // Whether it was ended in order makes no difference.
    const count = await bounded("the end", this.#conn.read(buffer).catch(() => null));
    assert.is(count, null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#conn.close();
    return Promise.resolve();
  }
}
