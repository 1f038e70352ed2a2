import { suite } from "uvu";
import * as assert from "uvu/assert";
import { addressKey } from "./address.ts";

const test = suite("addressKey");

const keys: [string, string][] = [
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::ffff:c000:207", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["memory", "memory"],
  ["", ""],
  ["no:address", "no:address"],
];
for (const [address, expected] of keys) {
  test(`${JSON.stringify(address)} counts as ${JSON.stringify(expected)}`, () => {
    assert.is(addressKey(address), expected);
  });
}

test.run();
