import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TunnelError } from "../core/errors.ts";
import { shortages } from "./shortage.ts";

const test = suite("shortages");

test("the first is told of, and one a minute after it", () => {
  let now = 5;
  const told: TunnelError[] = [];
  const failed = shortages((shortage) => told.push(shortage), () => now);
  const cause = failure("EMFILE");
  failed(cause);
  now += 59_999;
  failed(failure("ENFILE"));
  assert.is(told.length, 1);
  now += 1;
  failed(failure("ENFILE"));
  assert.equal(told.map(({ code }) => code), ["unavailable", "unavailable"]);
  assert.match(
    told[0]!.message,
    /^accept connections: this process may open no more files; .*LimitNOFILE/,
  );
  assert.is(told[0]!.cause, cause);
  assert.match(told[1]!.message, /this machine may open no more files/);
});

test("of a connection that is gone again nobody is told, nor of what has no code", () => {
  const failed = shortages(() => assert.unreachable());
  failed(failure("ECONNABORTED"));
  failed(new Error("listener has been closed"));
  failed("nothing known");
});

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test.run();
