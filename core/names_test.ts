import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import {
  canonicalHost,
  parseDeviceId,
  parseDuration,
  parseOperatorName,
  parsePort,
  parseReason,
  parseRelayUrl,
  parseTarget,
} from "./names.ts";

const test = suite("names");

const names = ["a", "0", "pi-7", "a.b_c-d", "9..9", "x".repeat(63)];
const badNames = [
  ...[
    "",
    "-a",
    ".a",
    "_a",
    "A",
    "pi/7",
    "../x",
    "a b",
    " a",
    "a ",
    "a\n",
    "a\0",
    "ä",
    "x".repeat(64),
  ],
  ...["a:b", "a\\b", "%2e", "device:x", "💡", "x".repeat(100_000)],
];
for (
  const [kind, parse] of [["device ID", parseDeviceId], ["operator", parseOperatorName]] as const
) {
  test(`${kind}: valid names come back as they are`, () => {
    for (const name of names) assert.is(parse(name), name);
  });
  for (const name of badNames) {
    test(`${kind}: ${JSON.stringify(name.slice(0, 20))} is refused with the rule`, async () => {
      const error = await failure(() => parse(name));
      assert.is(error.code, "usage");
      assert.match(error.message, "1 to 63");
      assert.ok(error.message.length < 300);
    });
  }
}

test("ports: 1 to 65535 in plain decimal", () => {
  for (const [text, port] of [["1", 1], ["22", 22], ["65535", 65535]] as const) {
    assert.is(parsePort(text), port);
  }
});
const badPorts = [
  "",
  "0",
  "65536",
  "70000",
  "022",
  "+22",
  "-1",
  "2.0",
  "1e3",
  "0x16",
  " 22",
  "22 ",
];
for (const text of [...badPorts, "22\n", "٢٢", "999999", "ssh"]) {
  test(`port ${JSON.stringify(text)} is refused with the rule`, async () => {
    const error = await failure(() => parsePort(text));
    assert.is(error.code, "usage");
    assert.match(error.message, "1 to 65535");
  });
}

const targets = [
  ["22", { port: 22 }],
  ["10.0.0.5:80", { host: "10.0.0.5", port: 80 }],
  ["[::1]:22", { host: "::1", port: 22 }],
  ["[2001:DB8:0:0::1]:22", { host: "2001:db8::1", port: 22 }],
  ["printer.local:9100", { host: "printer.local", port: 9100 }],
  ["Printer.LOCAL:9100", { host: "printer.local", port: 9100 }],
  ["db_1:5432", { host: "db_1", port: 5432 }],
  ["bench", { host: "bench.invalid", port: 1 }],
  ["bench:22", { host: "bench", port: 22 }],
] as const;
for (const [text, target] of targets) {
  test(`target ${text}`, () => assert.equal(parseTarget(text), target));
}
const badTargets = [
  ...["", ":22", "host", "host:", "host:0", "host:70000", "::1:22", "[::1]", "[::1]22", "[::1]:"],
  ...["[::1:22", "[]:22", "[host]:22", "[1.2.3.4]:22", "[::g]:22", "a b:22", "a..b:22", "-a:22"],
  ...[
    "a-:22",
    "user@host:22",
    "http://host:22",
    "host/x:22",
    "host:22/x",
    "1.2.3:22",
    "256.1.1.1:22",
  ],
  ...["0x7f.1:22", "127.1:22", "010.0.0.1:22", "2130706433:22", "[fe80::1%eth0]:22", "host.:22"],
  ...[`${"a".repeat(64)}:22`, `${"a.".repeat(127)}ab:22`, "host\n:22", "host:22\n", "ä:22"],
];
for (const text of badTargets) {
  test(`target ${JSON.stringify(text.slice(0, 30))} is refused`, async () => {
    const error = await failure(() => parseTarget(text));
    assert.is(error.code, "usage");
    assert.match(error.message, "host:port");
  });
}

test("durations, in milliseconds", () => {
  const durations = { "1h": 3_600_000, "30m": 1_800_000, "90s": 90_000, "7d": 604_800_000 };
  for (const [text, ms] of Object.entries(durations)) assert.is(parseDuration(text), ms);
  assert.is(parseDuration("3650d"), 3650 * 86_400_000);
});
const badDurations = [
  "",
  "0s",
  "1",
  "h",
  "1w",
  "1.5h",
  "-1h",
  "+1h",
  "1H",
  "1 h",
  " 1h",
  "1h ",
  "1h30m",
];
for (const text of [...badDurations, "3651d", "99999999999d", "1e3s", "toString", "01h", "1h\n"]) {
  test(`duration ${JSON.stringify(text)} is refused`, async () => {
    const error = await failure(() => parseDuration(text));
    assert.is(error.code, "usage");
    assert.match(error.message, "3650d");
  });
}

const reasons = ["x", "ticket 4711", "Wartung, wie besprochen: 3 €", "x".repeat(200), "💡", " a "];
test("reasons come back as they are", () => {
  for (const text of reasons) assert.is(parseReason(text), text);
});
const badReasons = ["", " ", "a\n", "a\nb", "a\tb", "a\0", "\x1b[2J", "\x7f", "\x85", "a\u2028b"];
for (
  const text of [...badReasons, "a\u202eb", "a\u2066b", "\ud800", "x".repeat(201), "💡".repeat(101)]
) {
  test(`reason ${JSON.stringify(text.slice(0, 12))} is refused`, async () => {
    const error = await failure(() => parseReason(text));
    assert.is(error.code, "usage");
    assert.match(error.message, "1 to 200 characters");
  });
}

test("relay URLs", () => {
  const urls = [
    ["tunnel://Relay.Example.com", "relay.example.com", ""],
    ["TUNNEL://relay.example.com:443/", "relay.example.com", "443"],
    ["tunnel://[::0001]:4433", "[::1]", "4433"],
    ["tunnel://127.0.0.1:1", "127.0.0.1", "1"],
  ] as const;
  for (const [text, hostname, port] of urls) {
    const url = parseRelayUrl(text);
    assert.equal([url.protocol, url.hostname, url.port], ["tunnel:", hostname, port]);
  }
});
const badUrls = [
  ...["", "relay.example.com", "https://relay", "tunnel:relay", "tunnel://", "tunnel://:443"],
  ...["tunnel://a:70000", "tunnel://a:0", "tunnel://a:", "tunnel://u:p@a", "tunnel://a/x"],
  ...[
    "tunnel://a?x",
    "tunnel://a#x",
    "tunnel://a b",
    " tunnel://a",
    "tunnel://127.1",
    "tunnel://[::g]",
  ],
];
for (const text of badUrls) {
  test(`relay URL ${JSON.stringify(text)} is refused`, async () => {
    const error = await failure(() => parseRelayUrl(text));
    assert.is(error.code, "usage");
    assert.match(error.message, "tunnel://host:port");
  });
}

const secret = "q8Xv2LkZr0TjWm5HcYb1NsGd7PfUe3Ai9KoRxEtQwzM";
const misplaced = [
  `tj1.${secret}`,
  ` --join tj1.${secret}`,
  `tj1.tj1.${secret}`,
  `tunnel://night:${secret}@relay`,
  `http://night:a/b?c#d@${secret}@relay:1`,
  `night:${secret}@relay`,
];
for (const text of misplaced) {
  test(`${text.replace(secret, "a secret")} in a wrong place is refused and not repeated`, async () => {
    for (const parse of [parseDeviceId, parsePort, parseTarget, parseDuration, parseRelayUrl]) {
      const { code, message } = await failure(() => parse(text));
      assert.is(code, "usage");
      assert.is(message.includes(secret.slice(0, 4)), false, message);
    }
  });
}

test("an IPv4 address inside IPv6 has one spelling", () => {
  assert.is(canonicalHost("::FFFF:127.0.0.1"), canonicalHost("[::ffff:7f00:1]"));
});

test.run();
