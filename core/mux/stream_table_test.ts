import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RoundTrip } from "./round_trip.ts";
import type { MuxStream } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";
import { Writer } from "./writer.ts";
import { socketPair } from "./test_socket.ts";

const test = suite("mux stream table");

test("it tells when more than one stream is open, and when no more than one is left", async () => {
  const told: boolean[] = [];
  const roundTrip = new RoundTrip();
  const [socket] = socketPair();
  const writer = new Writer(socket, roundTrip, () => {});
  const onRest = (isResting: boolean) => void told.push(isResting);
  const table = new StreamTable({ role: "client", limit: 1, writer, roundTrip, onRest });
  table.start(100, 10);
  const streams: MuxStream[] = [];
  for (let i = 0; i < 3; i++) streams.push(await table.open() as MuxStream);
  assert.equal(told, [false]);
  for (const stream of streams.splice(1)) table.release(stream);
  assert.equal(told, [false, true]);
  await table.open();
  assert.equal(told, [false, true, false]);
});

test.run();
