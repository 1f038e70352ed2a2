/** The npm package as its users have it: packed, installed into an empty project, run by Node. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { Echo, echoServer } from "./echo.ts";
import { callPage, CHROMIUM, openPage } from "./chromium.ts";
import { installPackage } from "./npm_package.ts";
import { Running, runToEnd, tempDir, tunnel } from "./processes.ts";
import type * as Page from "./npm/page.ts";
import { find, testWith } from "./require.ts";

const PROGRAMS = ["node", "npm"];
const test = suite("npm package");
const project = PROGRAMS.every(find) ? await installPackage() : undefined;
const programs = new URL("npm/", import.meta.url);

testWith(test, PROGRAMS, "Node dials, lists, watches and serves, by WebSocket", async () => {
  await using dir = await tempDir();
  await using local = echoServer();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using x = tunnel(["device", "--id", "x", "--allow", local.port], { env });
  await x.line(/^device x online/m);

  await using operator = await node("operator.mjs", `${dir.path}/anna`, {
    args: [local.port],
    join: await invite(env, "operator", "anna", "--grant", "*:*"),
  });
  assert.equal(await said(operator, 0), { code: "unreachable", isTold: true });
  assert.equal(await said(operator, 1), { operator: "anna", transport: "websocket" });
  assert.equal(await said(operator, 2), { bytes: 8 * 1024 * 1024, isSame: true });
  assert.equal(await said(operator, 3), [["x", true]]);
  assert.equal(await said(operator, 4), { isOurs: true, code: "target" });

  await using device = await node("device.mjs", `${dir.path}/n`, {
    args: [local.port],
    join: await invite(env, "device", "n"),
  });
  await device.line(/^online websocket$/m);
  assert.equal(await said(operator, 5), { came: "n", page: "/a for anna" });
  // Of the executable, to a handler in Node and to a port of its machine.
  for (const port of ["7", local.port]) {
    await using service = tunnel(["connect", "n", port], { env });
    const listening = Number(await service.line(/^listening \S+:(\d+)/m));
    await using echo = await Echo.open(listening);
    await echo.works();
  }
  await device.endInput();
  assert.is((await bounded("the device", device.outcome())).code, 0, device.stderr);
  assert.match(device.stdout, /^closed$/m);
  assert.equal(await said(operator, 6), { went: "n" });
  assert.is(await said(operator, 7), "done");
  const { code, stderr } = await bounded("the operator", operator.outcome());
  assert.equal([code, stderr], [0, ""]);
  const { mode } = await Deno.stat(`${dir.path}/anna/operator.json`);
  assert.is(mode! & 0o777, 0o600);
});

for (const transport of ["webtransport", "websocket"]) {
  testWith(
    test,
    [...PROGRAMS, CHROMIUM],
    `a page dials, lists and watches, with keys that it cannot read (${transport})`,
    async () => {
      const { path } = project!;
      await Deno.copyFile(new URL("page.ts", programs), `${path}/page.ts`);
      // Bundled as an application would be, so that what is taken is the package's build for browsers.
      await using browser = await openPage(new URL(`file://${path}/page.ts`));
      const { page } = browser;
      await using dir = await tempDir();
      await using local = echoServer();
      const env = { TUNNEL_HOME: dir.path };
      // A page that is not allowed to use the one has the other.
      const allowed = transport === "webtransport" ? ["--allow-origin", browser.origin] : [];
      await using relay = tunnel(["relay", "--listen", "127.0.0.1:0", ...allowed], { env });
      await relay.line(/^relay ready/m);
      await using x = tunnel(["device", "--id", "x", "--allow", local.port], { env });
      await x.line(/^device x online/m);
      const join = await invite(env, "operator", "anna", "--grant", "*:*");
      // The relay has a development certificate, which this browser does not know.
      const protocol = await page.context().newCDPSession(page);
      await protocol.send("Security.setIgnoreCertificateErrors", { ignore: true });

      const total = 8 * 1024 * 1024;
      const echoing = callPage<typeof Page, "echo">(page, "echo", join, Number(local.port), total);
      const { ms, ...echoed } = await bounded("the echo", echoing);
      assert.equal(echoed, { got: total, differs: 0, transport });
      console.log(
        `Chromium, ${transport}: ${
          Math.round(total * 8 / 1_000 / ms)
        } Mbit/s, there and back at once`,
      );
      assert.equal(await callPage<typeof Page, "list">(page, "list"), [{ id: "x", online: true }]);
      const exported = await callPage<typeof Page, "canExport">(page, "canExport");
      assert.equal(exported, ["rejected", "rejected"]);
      assert.is(await callPage<typeof Page, "rejoin">(page, "rejoin", join), "refused");
      assert.is(await callPage<typeof Page, "watch">(page, "watch"), "added x");
      x.kill();
      const next = callPage<typeof Page, "nextChange">(page, "nextChange");
      assert.is(await bounded("a change", next), "offline x");
      await callPage<typeof Page, "unwatch">(page, "unwatch");
      const replaced = await callPage<typeof Page, "replace">(page, "replace");
      assert.equal(replaced, [false, true, true, "anna", true]);
    },
  );
}

const CHECKS: [string, string[]][] = [
  ["nodenext", ["--module", "nodenext"]],
  ["bundler", ["--module", "esnext", "--moduleResolution", "bundler"]],
];
for (const [name, options] of CHECKS) {
  testWith(
    test,
    PROGRAMS,
    `a program in TypeScript is checked against its types (${name})`,
    async () => {
      const { path } = project!;
      await Deno.copyFile(new URL("consumer.ts", programs), `${path}/consumer.ts`);
      const compiler = new URL("../node_modules/typescript/bin/tsc", import.meta.url).pathname;
      const target = ["--target", "es2022", "--lib", "esnext,dom,dom.iterable,dom.asynciterable"];
      const command = [
        "node",
        compiler,
        "--noEmit",
        "--strict",
        ...target,
        ...options,
        "consumer.ts",
      ];
      // What the package's types name must be there too: they are checked as well.
      const { code, stdout } = await runToEnd(command, { cwd: path });
      assert.equal([code, stdout], [0, ""]);
    },
  );
}

testWith(
  test,
  PROGRAMS,
  "no file of it needs Deno, and each has its map, licence and words",
  async () => {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(project!.installed)) names.push(name);
    const files = [
      "LICENSE",
      "README.md",
      "browser.js",
      "browser.js.map",
      "node.js",
      "node.js.map",
    ];
    for (const name of [...files, "package.json", "types"]) assert.ok(names.includes(name), name);
    for (const entry of ["node", "browser"]) {
      const code = await Deno.readTextFile(`${project!.installed}/${entry}.js`);
      assert.not.match(code, /\bDeno\./, entry);
      assert.match(code, new RegExp(`sourceMappingURL=${entry}\\.js\\.map`));
      if (entry === "browser") assert.not.match(code, /from "node:|\brequire\(["']/);
    }
  },
);

test.after(async () => {
  await project?.[Symbol.asyncDispose]();
});
test.run();

/** A program of `tests/npm/` in the project. */
async function node(
  name: string,
  home: string,
  { args, join }: { args: string[]; join: string },
): Promise<Running> {
  const { path } = project!;
  await Deno.copyFile(new URL(name, programs), `${path}/${name}`);
  const env = { JOIN: join, HTTPS_PROXY: "", https_proxy: "" };
  return new Running(["node", name, home, ...args], { cwd: path, env, keepStdin: true });
}

/** The value that a program has said in a line of its own. */
async function said(program: Running, index: number): Promise<unknown> {
  const line = await program.line(new RegExp(`^(?:.*\\n){${index}}(.+)\\n`));
  return JSON.parse(line);
}

async function invite(
  env: Record<string, string>,
  role: string,
  name: string,
  ...options: string[]
): Promise<string> {
  await using running = tunnel(["invite", role, name, ...options], { env });
  const { code, stdout, stderr } = await running.outcome();
  assert.is(code, 0, stderr);
  return stdout.trim();
}
