/** The same streams as the engine uses them: by the shortest way that a transport has. */

import * as assert from "uvu/assert";
import { BlockReader } from "../core/block_reader.ts";
import { ByteWriter } from "../core/byte_writer.ts";
import type { Session } from "../core/transport.ts";
import { bounded } from "./bounded.ts";
import type { Check } from "./conformance.ts";
import { newSeed, Random } from "./random.ts";
import { bytes, text } from "./text.ts";

const MIB = 1024 * 1024;

export function checkBlocks(check: Check): void {
  check("blocks: whole and in order both ways, writes not awaited, an end each", async (pair) => {
    const seed = newSeed();
    const [near, far] = await opened(pair.client, pair.server);
    const echoing = (async () => {
      for (let block; (block = await far.reader.read()) !== null;) await far.writer.write(block);
      await far.writer.close();
    })();
    const random = new Random(seed);
    const sent = Array.from({ length: 40 }, () => random.bytes(random.below(200_000)));
    const sending = Promise.all([...sent.map((block) => near.writer.write(block))])
      .then(() => near.writer.close());
    let at = 0;
    const expected = new Uint8Array(sent.reduce((sum, { length }) => sum + length, 0));
    for (const block of sent) {
      expected.set(block, at);
      at += block.length;
    }
    at = 0;
    for (let block; (block = await bounded("a block", near.reader.read())) !== null;) {
      assert.ok(block.every((byte, i) => byte === expected[at + i]), `differs near ${at}`);
      at += block.length;
    }
    assert.is(at, expected.length);
    await bounded("both ends", Promise.all([sending, echoing]));
  });

  check("blocks: what was waited for stays to be read, a wait can be given up", async (pair) => {
    const [near, far] = await opened(pair.client, pair.server);
    const stop = new AbortController();
    const waiting = far.reader.ready(stop.signal).then(() => "came", () => "given up");
    stop.abort();
    assert.is(await bounded("the wait", waiting), "given up");
    await near.writer.write(bytes("after all"));
    assert.is(await bounded("bytes", far.reader.ready(new AbortController().signal)), true);
    assert.is(text((await far.reader.read())!), "after all");
    await near.writer.close();
    assert.is(await bounded("the end", far.reader.ready(new AbortController().signal)), false);
    assert.is(await far.reader.read(), null);
  });

  check("blocks: an abort stops the reader, a cancel fails the writer", async (pair) => {
    const [near, far] = await opened(pair.client, pair.server);
    const reading = far.reader.read().then((block) => block, () => null);
    near.writer.abort(new Error("changed my mind"));
    assert.is(await bounded("the reader", reading), null);
    near.reader.cancel("enough");
    const outcome = (async () => {
      for (let i = 0; i < 10_000; i++) await far.writer.write(new Uint8Array(65_536));
      return "all was taken";
    })().catch(() => "rejected");
    assert.is(await bounded("the writer", outcome), "rejected");
  });

  check("blocks: a reader that does not read stalls its writer", async (pair) => {
    const [near, far] = await opened(pair.client, pair.server);
    const [beside, echo] = await opened(pair.client, pair.server);
    let accepted = 0;
    let stopped = false;
    const writing = (async () => {
      while (!stopped && accepted < 256 * MIB) {
        await near.writer.write(new Uint8Array(65_536));
        accepted += 65_536;
      }
      await near.writer.close();
    })();
    let before = -1;
    // The neighbour's progress is the clock: the writer has stalled when that does not move it on.
    for (let i = 0; i < 200 && before !== accepted; i++) {
      before = accepted;
      for (let trip = 0; trip < 50; trip++) {
        await beside.writer.write(Uint8Array.of(trip));
        await echo.writer.write((await bounded("the neighbour", echo.reader.read()))!);
        await bounded("the neighbour", beside.reader.read());
      }
    }
    assert.is(accepted, before, "the writer never stalled");
    assert.ok(accepted <= 16 * MIB, `${accepted} bytes were taken for a reader that reads nothing`);
    stopped = true;
    let received = 0;
    for (let block; (block = await bounded("the rest", far.reader.read())) !== null;) {
      received += block.length;
    }
    await writing;
    assert.is(received, accepted);
  });
}

interface End {
  readonly reader: BlockReader;
  readonly writer: ByteWriter;
}

/** Opens a stream at one end and accepts it at the other; its first byte is spent on that. */
async function opened(from: Session, to: Session): Promise<[near: End, far: End]> {
  const stream = await from.openStream();
  const near = { reader: new BlockReader(stream), writer: new ByteWriter(stream) };
  const accepting = to.incoming.next();
  await near.writer.write(Uint8Array.of(1));
  const { value } = await bounded("a stream", accepting);
  const far = { reader: new BlockReader(value!), writer: new ByteWriter(value!) };
  assert.is((await bounded("its first byte", far.reader.read()))?.length, 1);
  return [near, far];
}
