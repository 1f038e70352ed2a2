import { suite } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { streamPair } from "../tests/paths.ts";
import { MessageStream } from "./control_stream.ts";
import { encodeMessage } from "./message.ts";

const test = suite("message stream: meanwhile");
const Say = v.object({ say: v.string() });
const receive = { action: "test" };

test("work that is done leaves every byte to be read", async () => {
  const { near, far } = await messages();
  const work = Promise.withResolvers<string>();
  const done = near.meanwhile("wait", () => work.promise);
  work.resolve("done");
  assert.is(await bounded("the work", done), "done");
  for (const say of ["one", "two"]) {
    await far.send({ say });
    assert.equal(await bounded("a message", near.receive(Say, receive)), { say });
  }
  // And again, with bytes behind it that go to whoever copies the stream.
  assert.is(await near.meanwhile("wait", () => Promise.resolve(1)), 1);
  const { reader } = near.detach();
  await far.send({ say: "three" });
  const expected = encodeMessage({ say: "three" });
  let got = 0;
  while (got < expected.length) got += (await bounded("bytes", reader.read()))!.length;
  assert.is(got, expected.length);
});

test("the other end's leaving ends it, whichever way it leaves", async () => {
  for (const how of ["end", "loss"]) {
    const { near, far, session } = await messages();
    let seen: AbortSignal | undefined;
    const working = near.meanwhile("wait", (signal) => {
      seen = signal;
      return new Promise(() => {});
    });
    const failing = failureOf(working);
    if (how === "end") far.close();
    else session.lose();
    const error = await bounded("the work", failing);
    assert.is(error.code, "aborted", how);
    assert.is(seen!.aborted, true);
  }
});

test("what is said out of turn ends it, and is not lost", async () => {
  const { near, far } = await messages();
  const working = failureOf(near.meanwhile("wait", () => new Promise(() => {})));
  await far.send({ say: "already" });
  assert.is((await bounded("the work", working)).code, "protocol");
  assert.equal(await bounded("a message", near.receive(Say, receive)), { say: "already" });
});

test("work that fails fails as it did", async () => {
  const { near } = await messages();
  const failing = near.meanwhile("wait", () => Promise.reject(new RangeError("no")));
  assert.instance(await failing.catch((error) => error), RangeError);
});

test.run();

async function messages() {
  const { near, far, session } = await streamPair();
  return { near: new MessageStream(near), far: new MessageStream(far), session };
}
