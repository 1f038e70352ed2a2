/** Who may reach what, as people administer it: the program, on the relay's machine and elsewhere. */

import { DatabaseSync } from "node:sqlite";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SqliteStore } from "../stores/sqlite.ts";
import { bounded } from "./bounded.ts";
import { Echo, echoServer } from "./echo.ts";
import { type Running, tempDir, tunnel } from "./processes.ts";

const test = suite("administration");
/** Milliseconds from a change to the end of what it ends. */
const AT_ONCE = 2_000;
const DAY = 86_400_000;

test("an invitation brings what it says and no more, until its end", async () => {
  await using fleet = await start();
  const { relay, port } = fleet;
  const scope = `x*:${port}`;
  const anna = await fleet.join("anna", "--grant", scope, "--until", "1h", "--validity", "2h");
  await using service = tunnel(["connect", "x", port], { env: anna });
  await using echo = await Echo.open(await listening(service));
  const other = await run(["connect", "x", "1", "--stdio"], anna);
  assert.is(other.code, 3);
  assert.match(other.stderr, /operator anna has no grant for it; .*tunnel grant anna 'x:1'/);
  const [grant] = await json(["grants", "--operator", "anna"], relay);
  assert.equal([grant.operator, grant.scope], ["anna", scope]);
  assert.match(grant.by, /^local:/);
  const left = Date.parse(grant.until) - Date.parse(grant.at);
  assert.ok(left > 3_500_000 && left <= 3_600_000, `${left} ms`);
  const { credential } = JSON.parse(await Deno.readTextFile(`${anna.TUNNEL_HOME}/operator.json`));
  const { iat, exp } = claimsOf(credential);
  assert.is(exp - iat, 7_200);

  // The grant of that scope has another end from now on, and the connection with it.
  const sooner = await run(["grant", "anna", scope, "--until", "3s"], relay);
  assert.match(sooner.stdout, new RegExp(`^${grant.id} x\\*:${port} until \\S+Z\\n$`));
  await echo.ended();
  const over = await run(["connect", "x", port, "--stdio"], anna);
  assert.is(over.code, 3);
  assert.match(over.stderr, /no grant/);
  assert.equal(await json(["grants", "--operator", "anna"], relay), []);
});

for (const where of ["on the relay's machine", "by an admin elsewhere"]) {
  test(`a change ${where} counts at once on a relay that runs`, async () => {
    await using fleet = await start();
    const { port } = fleet;
    const admin = where.startsWith("by") ? await fleet.join("boss", "--admin") : fleet.relay;
    const by = where.startsWith("by") ? "operator:boss" : `local:${fleet.relay.USER}`;
    const anna = await fleet.join("anna");
    const refused = await run(["connect", "x", port, "--stdio"], anna);
    assert.is(refused.code, 3);
    assert.match(refused.stderr, /has no grant/);

    const given = await run(["grant", "anna", `x:${port}`, "y:22"], admin);
    assert.is(given.code, 0, given.stderr);
    const [, id, other] = given.stdout.match(/^(\S{8}) x:\d+\n(\S{8}) y:22\n$/) ?? [];
    assert.ok(id && other, given.stdout);
    for (const revocation of [["grant", id], ["operator", "anna"]]) {
      // What was revoked first is given again, and the operator invited.
      if (revocation[0] === "operator") await run(["grant", "anna", `x:${port}`], admin);
      await using service = tunnel(["connect", "x", port], { env: anna });
      await using echo = await Echo.open(await listening(service));
      const cut = echo.ended().then(() => performance.now());
      await using process = tunnel(["revoke", ...revocation as string[]], { env: admin });
      await process.line(/^revoked/m);
      const revoked = performance.now();
      const took = await cut - revoked;
      assert.ok(took < AT_ONCE, `it took ${took} ms`);
      assert.is((await bounded("the command", process.outcome())).code, 0);
    }
    assert.is((await run(["connect", "x", port, "--stdio"], anna)).code, 3);
    const operators = await json(["operators"], admin);
    const { since, revokedAt, ...rest } = operators.find(({ name }) => name === "anna")!;
    assert.equal(rest, { name: "anna", admin: false, approver: false });
    assert.ok(Date.parse(revokedAt) >= Date.parse(since));
    const rows = await jsonLines(["audit", "--operator", "anna"], admin);
    const told = rows.filter(({ type }) => ["grant", "revoke"].includes(type))
      .map((row) => [row.type, row.by, row.detail.replace(/^\S{8} /, "")]);
    assert.equal(told, [
      ["grant", by, `x:${port}`],
      ["grant", by, "y:22"],
      ["revoke", by, `x:${port}`],
      ["grant", by, `x:${port}`],
      ["revoke", by, "all that it had"],
    ]);
    const dials = rows.filter(({ type }) => type === "dial").map(({ device }) => device);
    assert.ok(dials.length >= 2 && dials.every((device) => device === "x"), dials.join());
  });
}

test("an admin's home does all that the relay's does; another operator's sees its own grants", async () => {
  await using fleet = await start();
  const { relay, port } = fleet;
  const boss = await fleet.join("boss", "--admin");
  const made = await run(["invite", "operator", "anna", "--grant", `x:${port}`], boss);
  assert.is(made.code, 0, made.stderr);
  assert.is(made.stderr, "");
  const anna = fleet.home("anna", made.stdout.trim());
  await using service = tunnel(["connect", "x", port], { env: anna });
  await using _echo = await Echo.open(await listening(service));
  const device = await run(["invite", "device", "y"], boss);
  await using y = tunnel(["device", "--id", "y", "--allow", port], {
    env: fleet.home("y", device.stdout.trim()),
  });
  await y.line(/^device y online/m);

  for (
    const args of [
      ["grant", "anna", "*:*"],
      ["invite", "operator", "mallory", "--grant", "*:*"],
      ["rights", "anna", "--admin"],
      ["revoke", "operator", "boss"],
      ["operators"],
      ["grants", "--operator", "boss"],
      ["audit"],
      ["audit", "verify"],
    ]
  ) {
    const { code, stdout, stderr } = await run(args, anna);
    assert.is(code, 3, args.join(" "));
    assert.match(stderr, /operator anna is no admin; .*tunnel rights anna --admin/);
    assert.is(stdout, "");
  }
  const own = await json(["grants"], anna);
  assert.equal(own.map(({ operator, scope }) => [operator, scope]), [["anna", `x:${port}`]]);
  assert.equal(await json(["grants"], boss), await json(["grants"], relay));
  assert.equal(await json(["operators"], boss), await json(["operators"], relay));

  // The relay's own operator has not been there yet; once it has, there are two admins.
  const alone = await run(["revoke", "operator", "boss"], boss);
  assert.is(alone.code, 3);
  assert.match(alone.stderr, /operator boss is the last admin/);
  const owner = await json(["operators", "--remote"], relay);
  assert.ok(owner.find(({ name }) => name === relay.USER)!.admin);
  const left = await run(["revoke", "operator", "boss"], boss);
  assert.is(left.code, 0, left.stderr);
  const gone = await run(["operators"], boss);
  assert.is(gone.code, 3);
  assert.match(gone.stderr, /revoked/);
  const last = await run(["rights", relay.USER, "--remote"], relay);
  assert.is(last.code, 3);
  assert.match(last.stderr, /the last admin/);
  const mended = await run(["rights", relay.USER, "--approver"], relay);
  assert.is(mended.stdout, `${relay.USER}: approver\n`);
  const none = await run(["revoke", "device", "z"], relay);
  assert.is(none.code, 2);
  assert.match(none.stderr, /there is no device z/);
});

test("a home with neither relay nor operator is told so, and may join on the way", async () => {
  await using fleet = await start();
  const boss = fleet.home("boss");
  for (const args of [["grants"], ["invite", "device", "y"], ["audit", "--remote"]]) {
    const { code, stderr } = await run(args, boss);
    assert.is(code, 3);
    assert.match(stderr, /has neither a relay nor an operator; .*--join/);
  }
  const { stdout: join } = await run(["invite", "operator", "boss", "--admin"], fleet.relay);
  const joined = await run(["audit", "--operator", "nobody", "--join", join.trim()], boss);
  assert.is(joined.code, 0, joined.stderr);
  assert.is(joined.stdout, "the audit trail has no such row\n");
});

test("the audit trail is followed as it grows, here and from elsewhere, until Ctrl-C", async () => {
  await using fleet = await start();
  const boss = await fleet.join("boss", "--admin");
  const args = ["audit", "--follow", "--json", "--limit", "1", "--operator", "anna"];
  await using here = tunnel(args, { env: fleet.relay });
  await using there = tunnel(args, { env: boss });
  const grant = (scope: string) => run(["grant", "anna", scope], fleet.relay);
  await grant("a:1");
  for (const process of [here, there]) await process.line(/"type":"grant".*a:1/);
  await grant("a:2");
  for (const process of [here, there]) {
    await process.line(/"type":"grant".*a:2/);
    process.kill("SIGINT");
    const { code, stderr } = await bounded("the end", process.outcome());
    assert.is(code, 0, stderr);
    for (const line of process.stdout.trimEnd().split("\n")) {
      assert.is(JSON.parse(line).operator, "anna");
    }
  }
  const [row, ...more] = await jsonLines(["audit", "--limit", "1"], fleet.relay);
  assert.is(more.length, 0);
  assert.match(row.at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const table = await run(["audit", "--since", "1h", "--device", "x"], boss);
  assert.match(table.stdout, /^ROW +TIME +EVENT +BY +FROM +ABOUT/);
  assert.match(table.stdout, /^\d+ +\S+Z +join +device:x +127\.0\.0\.1 +x\b/m);
});

test("a trail that was tampered with does not verify, nor does one that was cut off", async () => {
  await using fleet = await start();
  const boss = await fleet.join("boss", "--admin");
  await run(["grant", "anna", "x:22"], fleet.relay);
  const good = await run(["audit", "verify"], boss);
  const [, rows, head] = good.stdout.match(/^ok: (\d+) rows, head (\d+:\S{43})\n$/) ?? [];
  assert.ok(rows && head, good.stdout + good.stderr);
  await run(["grant", "anna", "x:23"], fleet.relay);
  const later = await run(["audit", "verify", "--json", "--expect", head!], boss);
  assert.is(later.code, 0, later.stderr);
  const report = JSON.parse(later.stdout);
  assert.equal([report.ok, report.broken], [true, null]);
  assert.ok(report.rows > Number(rows) && report.head.seq === report.rows);
  const foreign = `${head!.split(":")[0]}:${"A".repeat(43)}`;
  const unlike = await run(["audit", "verify", "--expect", foreign], fleet.relay);
  assert.is(unlike.code, 1);
  assert.match(unlike.stderr, /has the hash \S+, not A+/);
  const beyond = await run(["audit", "verify", "--expect", `999999:${"A".repeat(43)}`], boss);
  assert.is(beyond.code, 1);
  assert.match(beyond.stderr, /row 999999 is missing/);

  tamper(fleet.store, "UPDATE audit SET operator = 'bob' WHERE seq = 3");
  for (const env of [fleet.relay, boss]) {
    const broken = await run(["audit", "verify"], env);
    assert.is(broken.code, 1);
    assert.match(broken.stderr, /^verify the audit trail: row 3 is missing, altered or foreign/);
    assert.is(broken.stdout, "");
    const told = await run(["audit", "verify", "--json"], env);
    assert.is(told.code, 1);
    const { ok, broken: row } = JSON.parse(told.stdout);
    assert.equal([ok, row], [false, 3]);
  }
});

test("a relay forgets rows that are older than it is told to keep, and the rest verifies", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path, USER: "root" };
  const path = `${dir.path}/relay/store.db`;
  {
    await using store = await SqliteStore.open(path);
    const now = Date.now();
    const days = [9, 8, 3, 1];
    await store.record(days.map((days) => ({ at: now - days * DAY, type: "dial", by: "x" })));
  }
  const args = ["relay", "--listen", "127.0.0.1:0", "--audit-retention", "7d"];
  await using relay = tunnel(args, { env });
  await relay.line(/audit trail pruned rows=2 before=\S+Z/, "stderr");
  const rows = await jsonLines(["audit"], env);
  assert.equal(rows.map(({ type, by }) => [type, by]), [
    ["dial", "x"],
    ["dial", "x"],
    ["prune", "local:root"],
  ]);
  const { code, stderr } = await run(["audit", "verify"], env);
  assert.is(code, 0, stderr);
  const first = await run(["audit", "verify", "--expect", `1:${"A".repeat(43)}`], env);
  assert.is(first.code, 1);
  assert.match(first.stderr, /row 1 is not kept any more: the trail begins with row 3/);
  const wrong = await run(["relay", "--audit-retention", "long"], env);
  assert.is(wrong.code, 2);
});

test("no join secret is in a log, an argument or the trail", async () => {
  await using fleet = await start("--log-level", "debug");
  const outputs: string[] = [];
  const secrets: string[] = [];
  for (const [role, name] of [["operator", "anna"], ["device", "y"]] as const) {
    const args = ["invite", role, name, "--log-level", "debug"];
    if (role === "operator") args.push("--grant", `*:${fleet.port}`);
    const { stdout, stderr } = await run(args, fleet.relay);
    await Deno.writeTextFile(`${fleet.path}/${name}.join`, stdout);
    secrets.push(secretOf(stdout.trim()), stdout.trim());
    outputs.push(stderr);
  }
  const member = (name: string, ...args: string[]) =>
    tunnel([...args, "--join", `@${fleet.path}/${name}.join`, "--log-level", "debug"], {
      env: fleet.home(name),
    });
  await using device = member("y", "device", "--id", "y", "--allow", fleet.port);
  await device.line(/^device y online/m);
  await using service = member("anna", "connect", "y", fleet.port);
  await using _echo = await Echo.open(await listening(service));
  const running = [fleet.process, fleet.device, device, service];
  for (const { stdout, stderr } of running) outputs.push(stdout, stderr);
  const trail = await run(["audit", "--json"], fleet.relay);
  outputs.push(trail.stdout);
  if (Deno.build.os === "linux") {
    for (const { pid } of running) outputs.push(await Deno.readTextFile(`/proc/${pid}/cmdline`));
  } else {
    console.log("skipped: arguments of processes (needs Linux)");
  }
  assert.match(outputs.join("\n"), /joined/, "there is something to search");
  for (const output of outputs) {
    for (const secret of secrets) assert.not.ok(output.includes(secret), output);
  }
});

test.run();

/** A relay and its device x, which offers an echo, and homes for others. */
async function start(...options: string[]) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const { port } = stack.use(echoServer());
  const relay = { TUNNEL_HOME: `${path}/relay`, USER: "root" };
  const args = ["relay", "--listen", "127.0.0.1:0", ...options];
  const process = stack.use(tunnel(args, { env: relay }));
  await process.line(/^relay ready/m);
  const device = stack.use(
    tunnel(["device", "--id", "x", "--allow", port, ...options], { env: relay }),
  );
  await device.line(/^device x online/m);
  const home = (name: string, join?: string) => ({
    TUNNEL_HOME: `${path}/${name}`,
    ...(join !== undefined && { TUNNEL_JOIN: join }),
  });
  return {
    ...{ path, port, relay, process, device, home },
    store: `${path}/relay/relay/store.db`,
    /** The home of an operator who has joined by an invitation of the relay's home. */
    async join(name: string, ...invitation: string[]) {
      const { stdout, stderr } = await run(["invite", "operator", name, ...invitation], relay);
      assert.match(stdout, /^tj1\./, stderr);
      const joined = await run(["devices"], home(name, stdout.trim()));
      assert.is(joined.code, 0, joined.stderr);
      return home(name);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function run(args: string[], env: Record<string, string> = {}) {
  await using process = tunnel(args, { env, stdin: "" });
  return await bounded(`tunnel ${args.join(" ")}`, process.outcome());
}

// deno-lint-ignore no-explicit-any -- what a program prints has no type
type Json = any;

async function json(args: string[], env: Record<string, string>): Promise<Json[]> {
  const { code, stdout, stderr } = await run([...args, "--json"], env);
  assert.is(code, 0, stderr);
  return JSON.parse(stdout);
}

async function jsonLines(args: string[], env: Record<string, string>): Promise<Json[]> {
  const { code, stdout, stderr } = await run([...args, "--json"], env);
  assert.is(code, 0, stderr);
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function listening(service: Running): Promise<number> {
  return Number(await service.line(/^listening 127\.0\.0\.1:(\d+)/m));
}

/** Alters the file of a store as somebody would who can write to it. */
function tamper(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  try {
    const triggers = database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
      .all();
    for (const { name } of triggers) database.exec(`DROP TRIGGER ${name}`);
    database.exec(sql);
    for (const { sql } of triggers) database.exec(sql as string);
  } finally {
    database.close();
  }
}

function claimsOf(token: string): { iat: number; exp: number } {
  return JSON.parse(atob(token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
}

/** The secret in a join string, to look for where it must not be. */
function secretOf(join: string): string {
  const text = atob(join.slice(4).replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(text).s;
}
