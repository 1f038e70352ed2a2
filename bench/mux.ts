/**
 * Our multiplexer against @moq/qmux, over the same pipe: TLS on loopback between two processes, with
 * the WebSocket framing of transports/websocket on it. Prints medians of interleaved rounds.
 *
 *     deno run -A bench/mux.ts [rounds]
 *
 * Both have windows of at least 256 KiB per stream. For qmux the pipe is dressed as a WebSocketStream,
 * so its messages are copied once more, as they are by every socket that owns its memory.
 */

// deno-lint-ignore no-import-prefix -- what we compare with is no dependency of the project
import Qmux from "npm:@moq/qmux@0.3.3";
import type { Stream } from "../core/transport.ts";
import { testGround } from "../tests/network_fixture.ts";
import { dial } from "../transports/websocket/dial.ts";
import { denoSockets } from "../transports/websocket/sockets_deno.ts";
import { answerRequest } from "../transports/websocket/handshake.ts";
import { parseRequest, readHead } from "../transports/websocket/http.ts";
import type { MessageSocket } from "../core/mux/message_socket.ts";
import { multiplex } from "../core/mux/session.ts";
import { WebSocketConnection } from "../transports/websocket/socket.ts";
import { listenTls, type ServerConn } from "../transports/websocket/tls_server.ts";

type Role = "client" | "server";

/** What is measured: sessions that open and accept streams. */
interface Mux {
  openStream(): Promise<Stream>;
  readonly incoming: AsyncIterable<Stream>;
  close(): void;
}

const MUXES: Record<string, (socket: MessageSocket, role: Role) => Promise<Mux>> = {
  ours: (socket, role) => {
    const remote = { hostname: "127.0.0.1", port: 0 };
    return Promise.resolve(multiplex(socket, { role, transport: "bench", remote }));
  },
  qmux: async (socket, role) => {
    const config = {
      maxData: 16n << 20n,
      maxStreamDataBidiLocal: 1n << 20n,
      maxStreamDataBidiRemote: 1n << 20n,
    };
    const stream = asWebSocketStream(socket);
    const session = role === "client"
      ? new Qmux(stream, { config })
      : Qmux.accept(stream, { config });
    await session.ready;
    return {
      openStream: () => session.createBidirectionalStream() as Promise<Stream>,
      incoming: session.incomingBidirectionalStreams as ReadableStream<Stream>,
      close: () => session.close(),
    };
  },
};

const MIB = 1024 * 1024;
/** Bytes of one write in bulk. */
const CHUNK = 64_000;
const ECHO = 1;
const SINK = 2;

/** What one round measures, each on a fresh session. */
const MEASURES: Record<string, { unit: string; run(mux: Mux): Promise<number> }> = {
  "1 stream": { unit: "Gbit/s", run: (mux) => throughput(mux, 1) },
  "8 streams": { unit: "Gbit/s", run: (mux) => throughput(mux, 8) },
  "64 B, idle": { unit: "µs", run: (mux) => roundTrip(mux, 1_000) },
  "64 B, under load": { unit: "µs", run: (mux) => underLoad(mux) },
};

if (Deno.args[0] === "serve") await serve();
else await compare(Number(Deno.args[0] ?? 5));

async function compare(rounds: number): Promise<void> {
  const { cert, key, root } = await testGround();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", import.meta.url, "serve"],
    env: { BENCH: JSON.stringify({ cert, key }) },
    stdout: "piped",
  }).spawn();
  const output = child.stdout.getReader();
  const ports = JSON.parse(new TextDecoder().decode((await output.read()).value));
  const results = new Map<string, number[]>();
  // The first round warms both up and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const [measure, { run }] of Object.entries(MEASURES)) {
      for (const name of Object.keys(MUXES)) {
        const url = new URL(`tunnel://127.0.0.1:${ports[name]}`);
        const { conn, rest } = await dial(url, { caCerts: [root] }, denoSockets);
        const socket = new WebSocketConnection(conn, { role: "client", maxMessage: MIB, rest });
        const mux = await MUXES[name]!(socket, "client");
        const value = await run(mux);
        mux.close();
        const key = `${measure} ${name}`;
        if (round > 0) results.set(key, [...results.get(key) ?? [], value]);
      }
    }
  }
  child.kill("SIGKILL");
  await Promise.all([output.cancel(), child.status]);
  print(results);
}

function print(results: Map<string, number[]>): void {
  const names = Object.keys(MUXES);
  const rows = Object.entries(MEASURES).map(([measure, { unit }]) => {
    const [a, b] = names.map((name) => median(results.get(`${measure} ${name}`)!)) as [
      number,
      number,
    ];
    const text = (value: number) => value.toFixed(unit === "µs" ? 0 : 2);
    return { measure, unit, [names[0]!]: text(a), [names[1]!]: text(b), ratio: (a / b).toFixed(2) };
  });
  console.table(rows);
}

async function throughput(mux: Mux, streams: number): Promise<number> {
  const bytes = 256 * MIB;
  const start = performance.now();
  await Promise.all(Array.from({ length: streams }, () => send(mux, bytes / streams)));
  return bytes * 8 / 1e6 / (performance.now() - start);
}

/** Sends in bulk, and waits until all of it was read. */
async function send(mux: Mux, bytes: number): Promise<void> {
  const stream = await mux.openStream();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([SINK]));
  const chunk = new Uint8Array(CHUNK);
  for (let sent = 0; sent < bytes; sent += CHUNK) await writer.write(chunk);
  await writer.close();
  for await (const _ of stream.readable);
}

/** The median round trip of 64 bytes on one stream, in microseconds. */
async function roundTrip(mux: Mux, times: number): Promise<number> {
  const stream = await mux.openStream();
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  await writer.write(new Uint8Array([ECHO]));
  const message = new Uint8Array(64);
  const took: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await writer.write(message);
    for (let got = 0; got < message.length;) got += (await reader.read()).value!.length;
    took.push(1_000 * (performance.now() - start));
  }
  await writer.close();
  return median(took);
}

async function underLoad(mux: Mux): Promise<number> {
  const load = send(mux, 512 * MIB);
  const [result] = await Promise.all([roundTrip(mux, 200), load]);
  return result;
}

/** The other process: one port for each multiplexer. */
async function serve(): Promise<void> {
  const { cert, key } = JSON.parse(Deno.env.get("BENCH")!);
  const ports: Record<string, number> = {};
  for (const name of Object.keys(MUXES)) {
    const server = await listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
    ports[name] = server.address.port;
    (async () => {
      // A session that ends takes its streams with it; the client's side is what is measured.
      for await (const conn of server) answer(conn, name).catch(() => {});
    })();
  }
  console.log(JSON.stringify(ports));
}

async function answer(conn: ServerConn, name: string): Promise<void> {
  await conn.handshake();
  const { text, rest } = await readHead(conn);
  const preface = new TextEncoder().encode(await answerRequest(parseRequest(text)) as string);
  const { nagle } = conn;
  const options = { role: "server", maxMessage: MIB, rest, preface, nagle } as const;
  const mux = await MUXES[name]!(new WebSocketConnection(conn, options), "server");
  for await (const stream of mux.incoming) echoOrSink(stream).catch(() => {});
}

async function echoOrSink({ readable, writable }: Stream): Promise<void> {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  let { value } = await reader.read();
  const echo = value![0] === ECHO;
  value = value!.subarray(1);
  for (
    let done = false;
    !done;
    { value, done } = await reader.read() as { value: Uint8Array; done: boolean }
  ) {
    if (echo && value.length > 0) await writer.write(value);
  }
  await writer.close();
}

/** The pipe in the shape that qmux takes. */
function asWebSocketStream(socket: MessageSocket) {
  const closed = Promise.withResolvers<{ closeCode: number; reason: string }>();
  const readable = new ReadableStream<Uint8Array | string>({
    async pull(controller) {
      const message = await socket.receive().catch(() => null);
      if (message) return controller.enqueue(message.slice());
      controller.close();
      closed.resolve({ closeCode: 1000, reason: "" });
    },
  }, { highWaterMark: 0 });
  const writable = new WritableStream<Uint8Array | string>({
    write(chunk) {
      const bytes = chunk as Uint8Array;
      const message = new Uint8Array(socket.headroom + bytes.length).subarray(socket.headroom);
      message.set(bytes);
      return socket.send(message);
    },
  });
  return {
    url: "",
    opened: Promise.resolve({ readable, writable, extensions: "", protocol: "qmux-02" }),
    closed: closed.promise,
    close: () => void socket.close(1000, ""),
  };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
