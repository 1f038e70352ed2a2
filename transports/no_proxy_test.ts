import { suite } from "uvu";
import * as assert from "uvu/assert";
import { matchesNoProxy } from "./no_proxy.ts";

const test = suite("matchesNoProxy");

const CASES: [list: string, host: string, port: number, expected: boolean][] = [
  ["", "relay.example", 443, false],
  ["*", "relay.example", 443, true],
  ["relay.example", "relay.example", 443, true],
  ["RELAY.example", "relay.example", 443, true],
  ["relay.example", "a.relay.example", 443, true],
  ["relay.example", "myrelay.example", 443, false],
  [".example", "relay.example", 443, true],
  [".example", "example", 443, true],
  ["*.example", "relay.example", 443, true],
  ["other, relay.example ,more", "relay.example", 443, true],
  ["other relay.example", "relay.example", 443, true],
  ["relay.example:443", "relay.example", 443, true],
  ["relay.example:8443", "relay.example", 443, false],
  ["relay", "relay.example", 443, false],
  ["10.1.2.3", "10.1.2.3", 443, true],
  ["10.1.2.3:80", "10.1.2.3", 443, false],
  ["1.2.3", "10.1.2.3", 443, false],
  ["10.0.0.0/8", "10.1.2.3", 443, true],
  ["10.0.0.0/8", "11.1.2.3", 443, false],
  ["10.0.0.0/0", "11.1.2.3", 443, true],
  ["10.0.0.0/33", "10.0.0.0", 443, false],
  ["10.0.0.0/x", "10.0.0.0", 443, false],
  ["10.0.0.0/8", "ten.example", 443, false],
  ["2001:db8::1", "2001:db8::1", 443, true],
  ["[2001:DB8:0::1]", "2001:db8::1", 443, true],
  ["[2001:db8::1]:443", "2001:db8::1", 443, true],
  ["[2001:db8::1]:80", "2001:db8::1", 443, false],
  ["2001:db8::/32", "2001:db8:ffff::1", 443, true],
  ["2001:db8::/32", "2001:db9::1", 443, false],
  ["2001:db8::/32", "10.1.2.3", 443, false],
  ["", "localhost", 443, true],
  ["", "x.localhost", 443, true],
  ["", "127.8.9.1", 443, true],
  ["", "::1", 443, true],
  ["", "::2", 443, false],
  ["", "1.127.0.0", 443, false],
  [",,", "relay.example", 443, false],
  [".", "relay.example", 443, false],
  ["2001:db8::1]/x[", "2001:db8::1", 443, false],
  ["a@[2001:db8::1", "2001:db8::1", 443, false],
  ["999.1.1.1", "relay.example", 443, false],
];

for (const [list, host, port, expected] of CASES) {
  test(`"${list}" ${expected ? "covers" : "leaves out"} ${host}:${port}`, () => {
    assert.is(matchesNoProxy(list, host, port), expected);
  });
}

test.run();
