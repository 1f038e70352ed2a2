import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { isOwnOrigin, parseOrigin } from "./origins.ts";

const test = suite("origins");

for (
  const [text, origin] of [
    ["https://console.example.com", "https://console.example.com"],
    ["https://Console.Example.com:443/", "https://console.example.com"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080"],
    ["https://[::1]:8443", "https://[::1]:8443"],
  ]
) {
  test(`${text} is one`, () => assert.is(parseOrigin(text!), origin));
}

for (const text of ["", "*", "null", "example.com", "wss://example.com", "https://example.com/x"]) {
  test(`"${text}" is none`, async () => {
    assert.is((await failure(() => parseOrigin(text))).code, "usage");
  });
}

const own = {
  isOwnHost: (host: string) => ["relay.example", "::1"].includes(host),
  ports: [443, 4_433],
};
for (
  const [origin, expected] of [
    ["https://relay.example", true],
    ["https://relay.example:4433", true],
    ["https://[::1]:4433", true],
    ["https://relay.example:8443", false],
    ["http://relay.example", false],
    ["https://relay.example.evil.com", false],
    ["https://evil.com", false],
    ["https://", false],
    ["null", false],
  ] as const
) {
  test(`${origin} is ${expected ? "" : "not "}the relay's own`, () => {
    assert.is(isOwnOrigin(origin, own), expected);
  });
}

test.run();
