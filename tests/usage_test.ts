/** What people type wrong: a usage error, in one line, before anything is tried. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { tempDir, tunnel } from "./processes.ts";

const test = suite("usage");

const usage: [string, string[], RegExp][] = [
  ["no command", [], /there is no command; see tunnel --help/],
  ["an unknown command", ["fly"], /there is no command "fly"/],
  ["an unknown option", ["devices", "--fast"], /--fast/],
  ["an option without its value", ["device", "--id"], /id/],
  ["a missing argument", ["connect", "x"], /missing required args/i],
  ["a device ID with a slash", ["device", "--id", "a/b"], /device ID/],
  ["a device ID in capitals", ["connect", "X", "22"], /device ID/],
  ["a port of 70000", ["connect", "x", "70000"], /1 to 65535/],
  ["a port that is a word", ["connect", "x", "ssh"], /1 to 65535/],
  ["a transport that does not exist", ["devices", "--transport", "tcp"], /no transport "tcp"/],
  ["a broken join string", ["device", "--id", "x", "--join", "hello"], /join string/],
  ["a cut-off join string", ["device", "--id", "x", "--join", "tj1.eyJ1Ijoi"], /join string/],
  ["a lifetime without a unit", ["invite", "device", "x", "--ttl", "5"], /duration/],
  ["a grant that is none", ["invite", "operator", "a", "--grant", "x"], /DEVICES:TARGETS/],
  ["an end without a grant", ["invite", "operator", "a", "--until", "8h"], /no --grant/],
  ["an end in no form", ["grant", "a", "x:22", "--until", "tomorrow"], /such as 8h/],
  ["a grant for a device", ["invite", "device", "x", "--grant", "x:22"], /are for operators/],
  ["revoking what there is not", ["revoke", "relay", "x"], /neither operator, device nor grant/],
  ["the ID of no grant", ["revoke", "grant", "1"], /8 characters/],
  ["a head of a trail that is none", ["audit", "verify", "--expect", "5"], /SEQ:HASH/],
  ["an audit of nothing", ["audit", "trail"], /not verify/],
  ["a certificate without its key", ["relay", "--cert", "x.pem"], /go together/],
  ["a limit that does not exist", ["relay", "--limit", "speed=1"], /no limit "speed"/],
  ["a limit without a number", ["relay", "--limit", "dials=few"], /read --limit dials/],
  ["a port for metrics that is none", ["relay", "--metrics", "x:y"], /address to listen on/],
  ["a log level that does not exist", ["devices", "--log-level", "loud"], /no level loud/],
  ["a reason of two lines", ["connect", "x", "22", "--reason", "a\nb"], /1 to 200 characters/],
  ["a reason of 201 characters", ["ssh", "x", "--reason", "a".repeat(201)], /1 to 200 characters/],
  ["an empty reason", ["connect", "x", "22", "--reason", ""], /1 to 200 characters/],
  [
    "two ways to approve",
    ["device", "--id", "x", "--approve", "--approve-command", "true"],
    /exclude/,
  ],
  ["an empty command", ["device", "--id", "x", "--approve-command", " "], /is empty/],
  [
    "six minutes to decide",
    ["device", "--id", "x", "--approve", "--approve-timeout", "6m"],
    /the 5m/,
  ],
  ["a bench of no time", ["bench", "x", "--seconds", "0"], /from 1 to 60/],
  ["a dial without an ID", ["approve", "x"], /16 hexadecimal digits/],
  ["a dial with half an ID", ["deny", "12345678"], /16 hexadecimal digits/],
];
for (const [what, args, pattern] of usage) {
  test(`${what} is a usage error: exit code 2 and one line`, async () => {
    await using dir = await tempDir();
    const { code, stdout, stderr } = await run(args, dir.path);
    assert.is(code, 2, stderr);
    assert.match(stderr, pattern);
    assert.is(stderr.trimEnd().split("\n").length, 1, stderr);
    assert.is(stdout, "");
  });
}

test.run();

async function run(args: readonly string[], home: string) {
  await using process = tunnel(args, { env: { TUNNEL_HOME: home }, stdin: "" });
  return await bounded(`tunnel ${args.join(" ")}`, process.outcome());
}
