/**
 * The reference chain over Deno's own WebSocket and TLS: one socket per connection on each hop,
 * messages copied as they come. Each receiver says how many bytes it has passed on, because a
 * WebSocket has no backpressure of its own.
 *
 * Each connection costs two TLS handshakes, and there Deno leaves Nagle's algorithm on: opened one at
 * a time they take about 40 ms. So its rate of connections is no yardstick, its other figures are.
 */

import { connectTcp, listenTcp, type Socket, untilDone, writeAll } from "./copy.ts";
import { type Bare, HOST } from "./main.ts";

const BLOCK = 64 * 1024;
/** Bytes that may be under way on a hop. */
const WINDOW = 4 * 1024 * 1024;
/** Bytes after which the receiver says so. */
const STEP = WINDOW / 4;
const END = "end";

export const websocket: Bare = {
  service(_keys, relay) {
    return Promise.resolve(
      listenTcp(async (conn) => await joinSocket(conn, await connect(relay))),
    );
  },

  relay({ cert, key }, device) {
    return Promise.resolve(listen(cert, key, async (near) => {
      const far = await connect(device);
      await untilDone([near, far], [copyMessages(near, far), copyMessages(far, near)]);
    }));
  },

  device({ cert, key }, target) {
    return Promise.resolve(
      listen(cert, key, async (near) => await joinSocket(await connectTcp(target), near)),
    );
  },
};

/** A WebSocket whose messages can be awaited, and whose queues are bounded by {@linkcode WINDOW}. */
class Messages {
  readonly #socket: WebSocket;
  readonly #queue: Uint8Array<ArrayBuffer>[] = [];
  #ended = false;
  #error?: Error;
  /** Bytes sent, and of these the ones that the peer has passed on. */
  #sent = 0;
  #taken = 0;
  /** Bytes passed on, and what the peer was told of that. */
  #passedOn = 0;
  #told = 0;
  #changed = Promise.withResolvers<void>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") this.#queue.push(new Uint8Array(data));
      else if (data === END) this.#ended = true;
      else this.#taken = Number(data);
      this.#wake();
    };
    socket.onerror = socket.onclose = () => {
      this.#error ??= new Error("the socket was closed");
      this.#wake();
    };
  }

  /** The next message; null at the end. The one before it counts as passed on. */
  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#passedOn - this.#told >= STEP) {
      this.#socket.send(String(this.#told = this.#passedOn));
    }
    for (;;) {
      const message = this.#queue.shift();
      if (message) {
        this.#passedOn += message.length;
        return message;
      }
      if (this.#ended) return null;
      if (this.#error) throw this.#error;
      await this.#changed.promise;
    }
  }

  async write(message: Uint8Array<ArrayBuffer>): Promise<void> {
    while (this.#sent - this.#taken >= WINDOW && !this.#error) await this.#changed.promise;
    if (this.#error) throw this.#error;
    this.#sent += message.length;
    this.#socket.send(message);
  }

  end(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(END);
  }

  close(): void {
    this.#socket.close();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

async function connect(port: number): Promise<Messages> {
  // The root to trust comes in DENO_CERT.
  const socket = new WebSocket(`wss://${HOST}:${port}/`);
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error("the WebSocket did not open"));
  await opened.promise;
  return new Messages(socket);
}

function listen(cert: string, key: string, onSocket: (socket: Messages) => Promise<void>): number {
  const options = { hostname: HOST, port: 0, cert, key, onListen() {} };
  const server = Deno.serve(options, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    const messages = new Messages(socket);
    socket.onopen = () => void onSocket(messages).catch(() => messages.close());
    return response;
  });
  return server.addr.port;
}

async function joinSocket(socket: Socket, messages: Messages): Promise<void> {
  const up = async () => {
    for (;;) {
      // A message is the WebSocket's own once sent, so each has a buffer of its own.
      const buffer = new Uint8Array(BLOCK);
      const count = await socket.read(buffer);
      if (count === null) break;
      await messages.write(buffer.subarray(0, count));
    }
    messages.end();
  };
  const down = async () => {
    for (let message; (message = await messages.read()) !== null;) await writeAll(socket, message);
    await socket.closeWrite();
  };
  await untilDone([socket, messages], [up(), down()]);
}

async function copyMessages(from: Messages, to: Messages): Promise<void> {
  for (let message; (message = await from.read()) !== null;) await to.write(message);
  to.end();
}
