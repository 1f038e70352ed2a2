import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { bounded } from "../tests/bounded.ts";
import { failure } from "../tests/failure.ts";
import { bytes } from "../tests/text.ts";
import { ByteReader } from "./bytes.ts";
import { SignIn } from "./control.ts";
import { decodeMessage, encodeMessage, readMessage } from "./message.ts";

const test = suite("message");

const SECRET = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";

const shapes: [string, string][] = [
  ["is cut off", `{"type":"join","secret":"${SECRET}`],
  ["lacks a quotation mark", `{"type":"join","secret":${SECRET}"}`],
  ["lacks a member", `{"type":"join","secret":"${SECRET}"}`],
  ["has a member of another kind", `{"type":"join","version":"${SECRET}"}`],
];
for (const [what, text] of shapes) {
  test(`a message that ${what} is refused without a word of what was in it`, async () => {
    const error = await failure(() => decodeMessage(bytes(text), SignIn, "sign in"));
    assert.is(error.code, "protocol");
    const shown = Deno.inspect(error, { depth: 10, strAbbreviateSize: 10_000 });
    assert.is(shown.includes(SECRET.slice(-6)) || shown.includes(SECRET.slice(0, 6)), false, shown);
  });
}

test("who waits for a message holds little memory, however large the one before was", async () => {
  const texts = ["a".repeat(40_000), "b"];
  const sizes: number[][] = [];
  let left = new Uint8Array(0);
  const readable = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const view = controller.byobRequest!.view! as Uint8Array<ArrayBuffer>;
      if (left.length === 0) {
        left = encodeMessage(texts[sizes.length]);
        sizes.push([]);
      }
      sizes.at(-1)!.push(view.length);
      const part = left.subarray(0, view.length);
      left = left.subarray(part.length);
      view.set(part);
      controller.byobRequest!.respond(part.length);
    },
  }, { highWaterMark: 0 }) as ReadableStream<Uint8Array>;
  const reader = new ByteReader({ readable });
  for (const text of texts) {
    const reading = readMessage(reader, v.string(), { action: "read" });
    assert.is(await bounded("a message", reading), text);
  }
  assert.equal(sizes, [[1_024, 8_192, 65_536], [1_024]]);
});

test.run();
