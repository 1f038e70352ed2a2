import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failureOf } from "../tests/failure.ts";
import { bytes, text } from "../tests/text.ts";
import { type Duplex, readAhead } from "./duplex.ts";
import { TunnelError } from "./errors.ts";

const test = suite("readAhead");

test("what has come is early, and is not read again", async () => {
  const ahead = readAhead(source("first", "second"));
  assert.is(ahead.early(), undefined);
  await settled();
  assert.is(text(ahead.early()!), "first");
  assert.is(ahead.early(), undefined);
  assert.is(text((await ahead.read())!), "second");
  assert.is(await ahead.read(), null);
});

test("what was not early is read, in order", async () => {
  const ahead = readAhead(source("first", "second"));
  assert.is(text((await ahead.read())!), "first");
  assert.is(ahead.early(), undefined);
  assert.is(text((await ahead.read())!), "second");
});

test("an end is not early, and neither is a failure", async () => {
  const ended = readAhead(source());
  await settled();
  assert.is(ended.early(), undefined);
  assert.is(await ended.read(), null);
  const error = new TunnelError("reset", { action: "read", state: "it was reset" });
  const failed = readAhead({ ...source(), read: () => Promise.reject(error) });
  await settled();
  assert.is(failed.early(), undefined);
  assert.is(await failureOf(failed.read()), error);
});

function source(...parts: string[]): Duplex {
  return {
    read: () => Promise.resolve(parts.length > 0 ? bytes(parts.shift()!) : null),
    write: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    reset: () => {},
  };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await null;
}

test.run();
