import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { startFleet } from "../tests/fleet.ts";
import { allowedAddress, checkAddress, type Target } from "./allow.ts";
import { parseTarget } from "./names.ts";

const test = suite("allow");

const plc = { hostname: "plc.local", port: 80 };

const checks: [allow: string[], ip: string, passes: boolean][] = [
  [[], "10.0.0.5", true],
  [["plc.local:80"], "127.0.0.1", true],
  [["plc.local:80"], "169.254.169.254", false],
  [["plc.local:80", "169.254.169.254:80"], "169.254.169.254", true],
  [["plc.local:80", "169.254.169.254:81"], "169.254.169.254", false],
  [["plc.local:80", "169.254.169.253:80"], "169.254.169.254", false],
  [["plc.local:80", "169.254.169.254:80"], "::ffff:169.254.169.254", false],
  [["plc.local:80", "[::ffff:169.254.169.254]:80"], "::ffff:a9fe:a9fe", true],
  [["plc.local:80", "[fe80::1]:80"], "fe80::1%eth0", true],
  [["plc.local:80", "[fe80:0::1]:80"], "fe80::1", true],
  [["plc.local:80"], "fe80::1%eth0", false],
  [["plc.local:80"], "0.0.0.0", false],
  [["plc.local:80"], "somewhere", false],
];
for (const [allow, ip, passes] of checks) {
  test(`${ip} with ${allow.join(" ") || "nothing"} listed is ${passes ? "taken" : "refused"}`, async () => {
    const check = () => checkAddress(allow.map(parseTarget), plc, ip);
    if (passes) return check();
    const error = await failure(check);
    assert.is(error.code, "target");
    assert.ok(
      error.message.startsWith(`connect to plc.local:80: the device does not connect to ${ip}`),
    );
    assert.match(error.message, /if it is meant, start it with --allow /);
  });
}

test("an address that is listed is an address that may be dialled", async () => {
  const allow: Target[] = [parseTarget("169.254.169.254:80")];
  const address = allowedAddress(allow, { host: "169.254.169.254", port: 80 });
  checkAddress(allow, address, address.hostname);
  await failure(() => allowedAddress(allow, { host: "169.254.169.254", port: 81 }));
});

test("an operator is told that a listed name leads where the device does not connect to", async () => {
  await using fleet = await startFleet();
  await fleet.device("x", {
    allow: [{ host: "plc.local", port: 80 }],
    connect(_address, _signal, permit) {
      permit("100.100.100.200");
      throw new Error("it was permitted");
    },
  });
  const target = { host: "plc.local", port: 80 };
  const operator = await fleet.operator();
  const error = await failure(() => fleet.dial(operator, "x", target));
  assert.is(error.code, "target");
  assert.is(error.exitCode, 6);
  assert.match(error.message, /100\.100\.100\.200, the metadata service of Alibaba/);
});

test.run();
