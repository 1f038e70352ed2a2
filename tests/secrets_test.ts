/**
 * What must stay secret: private keys, the secrets of join strings and a proxy's password are in no
 * process list, no log at any level, no error, and no file that others may read.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Outcome, type Running, tempDir, tunnel } from "./processes.ts";
import { testWith } from "./require.ts";

const test = suite("secrets");
const PASSWORD = "s3cret-w0rd";

for (const level of ["debug", "info", "error"]) {
  const name = `nothing secret is shown or readable by others, with --log-level ${level}`;
  testWith(test, ["ps"], name, async () => {
    await using dir = await tempDir();
    const { path } = dir;
    using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const home = (name: string) => ({
      TUNNEL_HOME: `${path}/${name}`,
      TUNNEL_LOG_LEVEL: level,
      NO_PROXY: "127.0.0.1",
      HTTPS_PROXY: `http://factory:${PASSWORD}@127.0.0.1:1`,
      USER: "root",
    });
    const secrets = new Set([PASSWORD]);
    const outputs: string[] = [];
    const run = async (args: string[], env: Record<string, string>) => {
      await using process = tunnel(args, { env, stdin: "" });
      const outcome = await process.outcome();
      outputs.push(outcome.stderr);
      return outcome;
    };
    const relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env: home("relay") });
    await using _relay = relay;
    await relay.line(/^relay ready/m);
    const invite = async (...args: string[]) => {
      const { stdout } = await run(["invite", ...args], home("relay"));
      const join = stdout.trim();
      const file = `${path}/${args[1]}.join`;
      await Deno.writeTextFile(file, stdout, { mode: 0o600 });
      for (const secret of [join, secretOf(join)]) secrets.add(secret);
      return file;
    };
    const port = String((target.addr as Deno.NetAddr).port);
    const x = await invite("device", "x");
    const asked = ["--approve-command", `cat >> ${path}/asked; true`];
    const allow = ["--allow", port, ...asked];
    const device = tunnel(["device", "--id", "x", "--join", `@${x}`, ...allow], { env: home("x") });
    await using _device = device;
    await device.line(/^device x online/m);
    const anna = await invite("operator", "anna", "--grant", "x:*");
    const dial = ["connect", "x", port, "--join", `@${anna}`, "--reason", "ticket 4711"];
    const service = tunnel(dial, { env: home("anna") });
    await using _service = service;
    const local = Number(await service.line(/^listening 127\.0\.0\.1:(\d+)/m));
    using _client = await Deno.connect({ hostname: "127.0.0.1", port: local });
    using _accepted = await target.accept();

    // Everything that fails with a secret at hand.
    const failures: Outcome[] = [
      await run(["device", "--id", "y", "--join", `@${x}`], home("y")),
      await run(["device", "--id", "x", "--join", `@${x}`], home("second")),
      await run(["connect", "x", "1", "--stdio"], home("anna")),
      await run(["devices", "--proxy", `http://factory:${PASSWORD}@127.0.0.1:1`], home("anna")),
      await run(["device", "--id", await Deno.readTextFile(x)], home("third")),
      await run([await Deno.readTextFile(x)], home("third")),
      await run(["relay", "--public", `tunnel://factory:${PASSWORD}@relay`], home("third")),
    ];
    for (const { code } of failures) assert.is.not(code, 0);
    await run(["doctor"], home("anna"));
    await run(["rotate", "device", "x"], home("x"));
    const audit = await run(["audit", "--json"], home("relay"));
    outputs.push(audit.stdout, ...failures.map(({ stdout }) => stdout));

    for (const process of [relay, device, service]) outputs.push(...await shown(process));
    const files = [];
    for await (const file of filesOf(path)) {
      const text = new TextDecoder("latin1").decode(await Deno.readFile(file.path));
      files.push({ ...file, text });
      for (const [, d] of text.matchAll(/"d":\s*"([^"]+)"/g)) secrets.add(d!);
    }
    assert.ok(secrets.size >= 1 + 2 * 2 + 5, `${secrets.size} secrets to look for`);
    for (const output of outputs) {
      for (const secret of secrets) assert.not.ok(output.includes(secret), output);
    }
    const keepers = files.filter(({ text }) => [...secrets].some((it) => text.includes(it)));
    assert.ok(keepers.length >= 5, "there are files to look at");
    for (const { path, mode } of keepers) assert.is(mode & 0o077, 0, `${path} is for all to read`);
    const question = await Deno.readTextFile(`${path}/asked`);
    assert.match(question, /ticket 4711/);
  });
}

test.run();

/** What others can see of a process: its output, and the lines of the process list. */
async function shown(process: Running): Promise<string[]> {
  const list = await new Deno.Command("ps", { args: ["-A", "-ww", "-o", "args"] }).output();
  const lines = new TextDecoder().decode(list.stdout);
  assert.match(lines, /ticket 4711/, "the list has arguments");
  return [process.stdout, process.stderr, lines];
}

/** Every file below a folder, with its mode as far as its own folder does not forbid more. */
async function* filesOf(
  folder: string,
  forbid = 0,
): AsyncGenerator<{ path: string; mode: number }> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const { mode } = await Deno.stat(path);
    const allowed = mode! & ~forbid;
    if (isDirectory) yield* filesOf(path, (~allowed & 0o011) === 0o011 ? 0o077 : forbid);
    else yield { path, mode: allowed };
  }
}

function secretOf(join: string): string {
  const text = atob(join.slice(4).replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(text).s;
}
