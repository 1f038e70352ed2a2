import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../tests/failure.ts";
import { parseArguments, type RunArguments } from "./arguments.ts";

const test = suite("bench arguments");

const peers = ["openssh", "frp tcp", "frp quic", "rathole tls"];
const ours = ["direct", "bare quic", "tunnel quic"];
const choices = {
  suites: ["throughput", "latency", "fleet"],
  contenders: [...ours, ...peers],
  peers,
};

test("nothing said is everything, three rounds, no file", () => {
  assert.equal(parse(), {
    command: "run",
    suites: choices.suites,
    names: choices.contenders,
    quick: false,
    rounds: 3,
    json: undefined,
    chart: undefined,
  });
});

test("suites come in the order of measurement, a quick run has one round", () => {
  const { suites, quick, rounds } = run("fleet", "throughput", "--quick");
  assert.equal([suites, quick, rounds], [["throughput", "fleet"], true, 1]);
  assert.is(run("--quick", "--rounds", "5").rounds, 5);
});

const against: [string, string[]][] = [
  ["frp", ["frp tcp", "frp quic"]],
  ["frp quic", ["frp quic"]],
  ["rathole,openssh", ["openssh", "rathole tls"]],
  [" frp  tcp , rathole tls", ["frp tcp", "rathole tls"]],
];
for (const [words, found] of against) {
  test(`--against ${JSON.stringify(words)}: ${found.join(" and ")}, beside all of ours`, () => {
    assert.equal(run("--against", words).names, [...ours, ...found]);
  });
}

test("--only is the contenders of these names and no other", () => {
  assert.equal(run("--only", "frp tcp,direct").names, ["direct", "frp tcp"]);
});

test("files, and a report of one", () => {
  const { json, chart } = run("--json", "-", "--chart", "x.svg");
  assert.equal([json, chart], ["-", "x.svg"]);
  assert.equal(parse("report", "run.json"), { command: "report", files: ["run.json"] });
  assert.equal(parse("latency", "--help"), { command: "help" });
});

const wrong: [string[], RegExp][] = [
  [["speed"], /no suite "speed"; use throughput, latency, fleet/],
  [["--only", "frp"], /no contender "frp"; use direct/],
  [["--against", "fr"], /no tool "fr"; use openssh, frp tcp/],
  [["--against", "tunnel quic"], /no tool "tunnel quic"/],
  [["--against", ""], /no tool ""/],
  [["--against", "frp", "--only", "direct"], /exclude each other/],
  [["--rounds", "0"], /from 1 to 100/],
  [["--rounds", "many"], /from 1 to 100/],
  [["--fast"], /--fast/],
  [["--json"], /--json/],
  [["report"], /the files/],
];
for (const [args, pattern] of wrong) {
  test(`${args.join(" ")} is a usage error`, async () => {
    const error = await failure(() => parse(...args));
    assert.is(error.code, "usage");
    assert.match(error.message, pattern);
  });
}

test.run();

function parse(...args: string[]) {
  return parseArguments(args, choices);
}

function run(...args: string[]): RunArguments {
  const parsed = parse(...args);
  if (parsed.command !== "run") throw new Error(`it is to ${parsed.command}`);
  return parsed;
}
