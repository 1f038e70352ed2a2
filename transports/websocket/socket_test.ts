import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../../core/errors.ts";
import { bounded } from "../../tests/conformance.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { decodeClose, encodeClose } from "./close_frame.ts";
import { encodeFrame, Opcode } from "./frame.ts";
import { FrameReader, type ReceivedFrame } from "./frame_reader.ts";
import { WebSocketConnection } from "./socket.ts";
import { connPair } from "./test_conn.ts";

const test = suite("WebSocketConnection");
const KEY = new Uint8Array([1, 2, 3, 4]);
const MAX = 100_000;
const bytes = (value: string) => new TextEncoder().encode(value);

async function nextFrame(reader: FrameReader): Promise<ReceivedFrame> {
  let frame;
  while (!(frame = reader.take())) if (!await reader.fill()) throw new Error("the end came");
  return frame;
}

test("messages of every size pass both ways, in whatever pieces they travel", async () => {
  const random = new Random(newSeed());
  for (const most of [() => 1 + random.below(20_000), () => 1 + random.below(40), () => Infinity]) {
    const { client, server } = sockets(most);
    const sizes = [0, 1, 125, 126, 127, 4_096, 65_535, 65_536, MAX, 3, 60_000, 60_000, 60_000];
    for (const [from, to] of [[client, server], [server, client]] as const) {
      const sending = (async () => {
        for (const size of sizes) await from.send(message(size));
      })();
      for (const size of sizes) {
        const got = (await bounded("a message", to.receive()))!.slice();
        assert.is(got.length, size);
        assert.ok(got.every((byte, i) => byte === (i & 0xff)), `the ${size} bytes differ`);
      }
      await sending;
    }
  }
});

test("a client masks every message with a key of its own, a server none", async () => {
  const [near, far] = connPair();
  const client = new WebSocketConnection(near, { role: "client", maxMessage: MAX });
  const frames: Uint8Array[] = [];
  for (let i = 0; i < 2; i++) {
    await client.send(message(8));
    frames.push(await far.readExactly(2 + 4 + 8));
  }
  assert.equal(frames.map((frame) => [frame[0], frame[1]]), [[0x82, 0x88], [0x82, 0x88]]);
  assert.not.equal(frames[0]!.slice(2, 6), frames[1]!.slice(2, 6));
  const [near2, far2] = connPair();
  const server = new WebSocketConnection(near2, { role: "server", maxMessage: MAX });
  await server.send(message(3));
  assert.equal([...await far2.readExactly(5)], [0x82, 3, 0, 1, 2]);
});

test("fragments with pings between them become one message", async () => {
  const { socket, peer } = withPeer();
  const part = (opcode: number, text: string, final: boolean) => {
    const frame = encodeFrame(opcode, bytes(text), KEY);
    if (!final) frame[0]! &= 0x7f;
    return frame;
  };
  await peer.writeAll(part(Opcode.binary, "a fragm", false));
  await peer.writeAll(part(Opcode.ping, "there?", true));
  await peer.writeAll(part(Opcode.continuation, "", false));
  await peer.writeAll(part(Opcode.continuation, "ented message", true));
  assert.is(text((await socket.receive())!), "a fragmented message");
  assert.equal(await peer.readExactly(8), encodeFrame(Opcode.pong, bytes("there?")));
});

test("pings are answered between messages, the latest of those that wait", async () => {
  const { socket, peer } = withPeer();
  for (let i = 0; i < 100; i++) await peer.writeAll(encodeFrame(Opcode.ping, bytes(`${i}`), KEY));
  await peer.writeAll(encodeFrame(Opcode.binary, bytes("data"), KEY));
  assert.is(text((await socket.receive())!), "data");
  const reader = new FrameReader(peer, { masked: false, maxMessage: MAX });
  let last = "";
  let pongs = 0;
  for (; last !== "99"; pongs++) last = text((await bounded("a pong", nextFrame(reader))).payload);
  assert.ok(pongs <= 100);
});

const VIOLATIONS: Record<string, { frames: Uint8Array[]; code: number }> = {
  "a frame without a mask": { frames: [encodeFrame(Opcode.binary, bytes("x"))], code: 1002 },
  "a text frame": { frames: [encodeFrame(Opcode.text, bytes("x"), KEY)], code: 1003 },
  "a message that is too long": {
    frames: [encodeFrame(Opcode.binary, new Uint8Array(MAX + 1), KEY).subarray(0, 100)],
    code: 1009,
  },
  "fragments that are too long together": {
    frames: [unfinished(Opcode.binary, MAX), encodeFrame(Opcode.continuation, bytes("x"), KEY)],
    code: 1009,
  },
  "a continuation of nothing": { frames: [encodeFrame(0, bytes("x"), KEY)], code: 1002 },
  "a message inside another": {
    frames: [unfinished(Opcode.binary, 5), encodeFrame(Opcode.binary, bytes("x"), KEY)],
    code: 1002,
  },
  "a reserved opcode": { frames: [encodeFrame(0x3, bytes("x"), KEY)], code: 1002 },
  "a close code that must not be sent": {
    frames: [encodeFrame(Opcode.close, encodeClose(1006, ""), KEY)],
    code: 1002,
  },
  "a close reason that is not UTF-8": {
    frames: [encodeFrame(Opcode.close, new Uint8Array([3, 232, 255]), KEY)],
    code: 1007,
  },
};

for (const [name, { frames, code }] of Object.entries(VIOLATIONS)) {
  test(`${name} fails the connection with ${code}`, async () => {
    const { socket, peer } = withPeer();
    const sending = (async () => {
      for (const frame of frames) await peer.writeAll(frame);
    })();
    const error = await bounded("the failure", socket.receive().catch((error) => error));
    assert.ok(error instanceof TunnelError && error.code === "protocol", String(error));
    await sending;
    assert.is(await closeCode(peer), code);
    peer.close();
    await bounded("the end", socket.close(1000, ""));
  });
}

test("close tells the peer code and reason, and waits for its answer", async () => {
  const { client, server, far } = sockets();
  let closed = false;
  const closing = client.close(1000, "done").then(() => closed = true);
  const receiving = client.receive();
  await turn();
  assert.is(closed, false);
  assert.is(await bounded("the server", server.receive()), null);
  assert.is(await bounded("the client", receiving), null);
  await bounded("the handshake", closing);
  assert.ok(far.closed);
});

test("a message behind a close is refused, one in front of it arrives", async () => {
  const { client, server } = sockets();
  const sending = client.send(message(1_000));
  client.close(1000, "");
  assert.is((await bounded("the message", server.receive()))!.length, 1_000);
  await sending;
  const late = await client.send(message(1)).catch((error) => error.code);
  assert.is(late, "reset");
  client.receive();
  assert.is(await server.receive(), null);
});

test("a close of both sides at once is one close", async () => {
  const { client, server } = sockets();
  const both = [client, server].map((end) => Promise.all([end.close(1000, ""), end.receive()]));
  await bounded("both", Promise.all(both));
});

test("an end without a close frame is null, a failure is an error", async () => {
  const { socket, peer } = withPeer();
  peer.close();
  assert.is(await socket.receive(), null);
  const broken = { read: () => Promise.reject(new Error("broken")), write: never, close() {} };
  const other = new WebSocketConnection(broken, { role: "client", maxMessage: MAX });
  assert.is(await other.receive().catch((error) => error.code), "reset");
});

test("close is over in a few seconds when the peer says nothing", async () => {
  const { socket, peer } = withPeer();
  const receiving = socket.receive();
  await bounded("the close", socket.close(1000, ""));
  assert.is(await receiving, null);
  assert.is(await closeCode(peer), 1000);
});

test("abort ends a send and a receive that wait", async () => {
  const { client } = sockets();
  const sending = (async () => {
    for (;;) await client.send(message(60_000));
  })().catch((error) => error.code);
  const receiving = client.receive();
  await turn();
  client.abort();
  assert.is(await bounded("the receive", receiving), null);
  assert.is(await bounded("the send", sending), "reset");
});

test("random bytes end in a protocol error, an end, or messages within the limit", async () => {
  const random = new Random(newSeed());
  for (let round = 0; round < 2_000; round++) {
    const { socket, peer } = withPeer();
    const input = random.bytes(random.below(300));
    for (let i = 0; round % 2 && i + 1 < input.length; i += 1 + random.below(20)) {
      input[i] = random.pick([0x82, 0x02, 0x80, 0x89, 0x8a, 0x00]);
      input[i + 1] = 0x80 | random.below(16);
    }
    await peer.writeAll(input);
    peer.close();
    try {
      for (let got; (got = await bounded("a message", socket.receive())) !== null;) {
        assert.ok(got.length <= MAX);
      }
    } catch (error) {
      assert.ok(error instanceof TunnelError && error.code === "protocol", `${error}`);
    }
    socket.abort();
  }
});

function sockets(most?: () => number) {
  const [near, far] = connPair(most);
  const client = new WebSocketConnection(near, { role: "client", maxMessage: MAX });
  const server = new WebSocketConnection(far, { role: "server", maxMessage: MAX });
  return { client, server, far };
}

/** A server's end, and the bare connection of its client. */
function withPeer() {
  const [near, peer] = connPair();
  return { socket: new WebSocketConnection(near, { role: "server", maxMessage: MAX }), peer };
}

/** A message with the headroom that `send` asks for. */
function message(size: number): Uint8Array {
  const bytes = new Uint8Array(16 + size).subarray(16);
  for (let i = 0; i < size; i++) bytes[i] = i;
  return bytes;
}

function unfinished(opcode: number, length: number): Uint8Array {
  const frame = encodeFrame(opcode, new Uint8Array(length), KEY);
  frame[0]! &= 0x7f;
  return frame;
}

/** The code of the close frame that comes to a bare connection of a client. */
async function closeCode(peer: ReturnType<typeof withPeer>["peer"]): Promise<number> {
  const reader = new FrameReader(peer, { masked: false, maxMessage: MAX });
  const frame = await bounded("the close frame", nextFrame(reader));
  assert.is(frame.opcode, Opcode.close);
  return decodeClose(frame.payload).code;
}

const never = () => new Promise<never>(() => {});
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const text = (value: Uint8Array) => new TextDecoder().decode(value);

test.run();
