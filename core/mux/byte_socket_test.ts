import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../../tests/bounded.ts";
import { failureOf } from "../../tests/failure.ts";
import { newSeed, Random } from "../../tests/random.ts";
import { CloseCode, type Limits } from "../transport.ts";
import { Batch, MAX_MESSAGE } from "./batch.ts";
import { ByteSocket } from "./byte_socket.ts";
import { FrameType, HEADER_SIZE } from "./frame.ts";
import { multiplex } from "./session.ts";
import { bytesPair } from "./test_bytes.ts";
import { muxConformance } from "./test_conformance.ts";

const remote = { hostname: "memory", port: 1 };
const random = new Random(newSeed());
const test = suite("byte socket");

function sessions(limits?: Partial<Limits>) {
  const [near, far] = bytesPair(random);
  const options = { transport: "mux", remote, limits };
  const client = multiplex(new ByteSocket(near), { role: "client", ...options });
  const server = multiplex(new ByteSocket(far), { role: "server", ...options });
  return { client, server, stall: () => far.pause() };
}

muxConformance("multiplexer over bytes", sessions);

test("messages come whole and in order, wherever they are cut", async () => {
  const [near, far] = bytesPair(random);
  const [sender, receiver] = [new ByteSocket(near), new ByteSocket(far)];
  const batch = new Batch(0);
  const sent: number[] = [];
  const sending = (async () => {
    for (let id = 1; id <= 300; id++) {
      batch.clear();
      const length = random.below(3) ? random.below(100) : random.below(100_000);
      batch.data(id, 0, new Uint8Array(length).fill(id));
      sent.push(batch.length);
      await sender.send(batch.message);
    }
    await near.closeWrite();
  })();
  const received: number[] = [];
  for (let message; (message = await bounded("a message", receiver.receive()));) {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    for (let at = 0; at < message.length; at += received.at(-1)!) {
      const length = HEADER_SIZE + (view.getUint32(at) & 0xffffff);
      assert.is(view.getUint32(at + 4), received.length + 1);
      assert.ok(
        message.subarray(at + HEADER_SIZE, at + length).every((byte) =>
          byte === ((received.length + 1) & 0xff)
        ),
      );
      received.push(length);
    }
  }
  await sending;
  assert.equal(received, sent);
});

test("an end inside a frame is a loss, and a frame that is too long breaks the rules", async () => {
  const head = (length: number) => {
    const bytes = new Uint8Array(HEADER_SIZE);
    new DataView(bytes.buffer).setUint32(0, FrameType.data << 24 | length);
    return bytes;
  };
  const [near, far] = bytesPair(random);
  await near.write(head(10));
  await near.closeWrite();
  const error = await failureOf(new ByteSocket(far).receive());
  assert.is(error.code, "reset");
  assert.match(error.message, /ended inside a frame/);
  const [flooding, flooded] = bytesPair(random);
  const socket = new ByteSocket(flooded);
  const failing = failureOf(socket.receive());
  await flooding.write(head(0xffffff));
  flooding.write(new Uint8Array(MAX_MESSAGE)).catch(() => {}); // It is not read to its end.
  assert.is((await bounded("the failure", failing)).code, "protocol");
});

test("a session over bytes ends in order: the connection is ended, not reset", async () => {
  const { client, server } = sessions();
  client.close();
  assert.is((await bounded("the peer's end", server.closed)).code, CloseCode.done);
  assert.is((await bounded("the own end", client.closed)).code, CloseCode.done);
});

test("it says when the other end takes streams, and how many more", async () => {
  const { client, server } = sessions({ streams: 2 });
  assert.is(client.places, 0);
  await bounded("the greeting", client.greeted);
  assert.is(client.places, 2);
  await client.openStream();
  assert.is(client.places, 1);
  const [near, far] = bytesPair(random);
  const alone = multiplex(new ByteSocket(near), { role: "client", transport: "mux", remote });
  const left = failureOf(alone.greeted);
  alone.close();
  assert.is((await left).code, "closed");
  await far.closeWrite();
  client.close();
  await bounded("the end", server.closed);
});

test.run();
