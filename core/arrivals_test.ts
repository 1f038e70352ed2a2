import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "../tests/bounded.ts";
import { failureOf } from "../tests/failure.ts";
import { Arrivals } from "./arrivals.ts";
import { TunnelError } from "./errors.ts";
import type { Stream } from "./transport.ts";

const test = suite("arrivals");

test("streams are given in the order in which they came, before or after they are asked for", async () => {
  const arrivals = new Arrivals();
  const [a, b, c, d] = [stream(), stream(), stream(), stream()] as const;
  arrivals.push(a);
  arrivals.push(b);
  const next = [arrivals.next(), arrivals.next(), arrivals.next(), arrivals.next()];
  arrivals.push(c);
  arrivals.push(d);
  const given = await bounded("the streams", Promise.all(next));
  assert.equal(given.map(({ value }) => [a, b, c, d].indexOf(value)), [0, 1, 2, 3]);
});

test("whoever asks later waits behind whoever asked before, though a stream came in between", async () => {
  const arrivals = new Arrivals();
  const [a, b, c] = [stream(), stream(), stream()] as const;
  const next = [arrivals.next(), arrivals.next()];
  arrivals.push(a);
  next.push(arrivals.next());
  arrivals.push(b);
  arrivals.push(c);
  const given = await bounded("the streams", Promise.all(next));
  assert.equal(given.map(({ value }) => [a, b, c].indexOf(value)), [0, 1, 2]);
});

test("an end in order ends all who wait, and a loop", async () => {
  const arrivals = new Arrivals();
  const waiting = [arrivals.next(), arrivals.next()];
  arrivals.end();
  for (const { done } of await bounded("the ends", Promise.all(waiting))) assert.is(done, true);
  let count = 0;
  for await (const _ of arrivals) count++;
  assert.is(count, 0);
});

test("an error rejects whoever waits and whoever asks later, and a later end changes nothing", async () => {
  const arrivals = new Arrivals();
  const error = new TunnelError("reset", { action: "use the session", state: "it was lost" });
  const waiting = [failureOf(arrivals.next()), failureOf(arrivals.next())];
  arrivals.end(error);
  arrivals.end();
  assert.equal(await bounded("the errors", Promise.all(waiting)), [error, error]);
  assert.is(await failureOf(arrivals.next()), error);
});

test("whoever leaves a loop has the rest refused, what waits and what comes", async () => {
  const arrivals = new Arrivals();
  const all = [stream(), stream(), stream()] as const;
  arrivals.push(all[0]);
  arrivals.push(all[1]);
  for await (const _ of arrivals) break;
  arrivals.push(all[2]);
  assert.equal(all.map(({ refused }) => refused), [false, true, true]);
  assert.is((await arrivals.next()).done, true);
});

test.run();

/** A stream that notes whether both of its directions were given up. */
function stream(): Stream & { readonly refused: boolean } {
  const gone = { readable: false, writable: false };
  return {
    readable: new ReadableStream({ cancel: () => void (gone.readable = true) }),
    writable: new WritableStream({ abort: () => void (gone.writable = true) }),
    get refused() {
      return gone.readable && gone.writable;
    },
  };
}
