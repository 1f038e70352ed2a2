/** The device's own say as people meet it: reasons, approval by a command, approval by an operator. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { type Running, tempDir, tunnel } from "./processes.ts";
import { startRelay } from "./test_relay.ts";

const test = suite("approve");

test("every new command's help has an example", async () => {
  for (const command of ["approvals", "approve", "deny"]) {
    const { code, stdout } = await run([command, "--help"]);
    assert.is(code, 0);
    assert.match(stdout, new RegExp(`Examples?:\\s+tunnel ${command} `));
  }
});

test("a command is given the dial and decides; what it says is what the operator reads", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path, USER: "night" };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const script = [
    `cat > '${dir.path}/question'`,
    `if grep -q ticket '${dir.path}/question'; then exit 0; fi`,
    `printf 'no \\033[2Jticket\\nsecond line\\n'`,
    "exit 7",
  ].join("\n");
  await using target = startTarget();
  await using device = tunnel(["device", "--id", "x", "--allow", String(target.port)], {
    env: { ...env, TUNNEL_APPROVE_COMMAND: script },
  });
  await device.line(/^device x online/m);

  await using service = tunnel(connect(target.port, "--reason", "ticket 4711"), {
    env,
    keepStdin: true,
  });
  await service.line(/^connected$/m);
  const question = JSON.parse(await Deno.readTextFile(`${dir.path}/question`));
  const { port } = target;
  assert.equal(question, { device: "x", operator: "night", port, reason: "ticket 4711" });
  assert.match(service.stderr, /^[^\n]*waiting for approval[^\n]*\n$/);
  await device.line(/dial accepted.*reason="ticket 4711"/, "stderr");
  await relay.line(/dial accepted.*reason="ticket 4711"/, "stderr");

  const { code, stderr } = await run(connect(target.port), env);
  assert.is(code, 3, stderr);
  assert.match(stderr, /: no \?\[2Jticket\n$/);
  assert.not.match(stderr, /second line/);
  const vague = { ...env, TUNNEL_REASON: "just because" };
  assert.is((await run(connect(target.port), vague)).code, 3);
  assert.match(await Deno.readTextFile(`${dir.path}/question`), /"reason":"just because"/);
});

test("a command gets nothing that this program was given in confidence", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const { stdout: join } = await run(["invite", "device", "x"], env);
  await using target = startTarget();
  const command = ["--approve-command", `env > '${dir.path}/env'`];
  await using device = tunnel(["device", "--id", "x", "--allow", String(target.port), ...command], {
    env: { TUNNEL_HOME: `${dir.path}/away`, TUNNEL_JOIN: join.trim(), TUNNEL_LOG_LEVEL: "info" },
  });
  await device.line(/^device x online/m);
  await using service = tunnel(connect(target.port), { env, keepStdin: true });
  await service.line(/^connected$/m);
  const given = await Deno.readTextFile(`${dir.path}/env`);
  assert.match(given, /TUNNEL_LOG_LEVEL=info/);
  assert.not.match(given, /TUNNEL_JOIN|tj1\./);
});

test("a command that does not decide is killed with all that it started", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using target = startTarget();
  const command = `sleep 1000 & echo $! > '${dir.path}/pid'; yes`;
  const options = ["--approve-command", command, "--approve-timeout", "1s"];
  await using device = tunnel(["device", "--id", "x", "--allow", String(target.port), ...options], {
    env,
  });
  await device.line(/^device x online/m);
  const { code, stderr } = await run(connect(target.port), env);
  assert.is(code, 3, stderr);
  assert.match(stderr, /nobody approved the dial within 1 s/);
  const pid = Number(await Deno.readTextFile(`${dir.path}/pid`));
  await until("the command's end", () => isGone(pid));
  assert.is(target.connections, 0);
});

test("a device that ends takes the command along that it waits for", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const command = `sleep 1000 & echo pid $! >&2; wait`;
  await using device = tunnel(
    ["device", "--id", "x", "--allow", "9", "--approve-command", command],
    {
      env,
    },
  );
  await device.line(/^device x online/m);
  await using service = tunnel(connect(9), { env, keepStdin: true });
  const pid = Number(await device.line(/^pid (\d+)$/m, "stderr"));
  device.kill("SIGTERM");
  assert.is((await bounded("the device", device.outcome())).code, 0);
  await until("the command's end", () => isGone(pid));
  // The device's last answer and the end of its session race.
  assert.ok([1, 4].includes((await bounded("the service", service.outcome())).code));
});

test("a command that says far too much refuses by its first line", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const command = "head -c 1000 /dev/zero | tr '\\0' x; yes | head -c 20000000; exit 1";
  await using device = tunnel(
    ["device", "--id", "x", "--allow", "9", "--approve-command", command],
    {
      env,
    },
  );
  await device.line(/^device x online/m);
  const { code, stderr } = await run(connect(9), env);
  assert.is(code, 3);
  assert.match(stderr, /: x{200}\n$/);
});

for (const transport of ["quic", "websocket"]) {
  test(`an operator with the right to approves a dial of another, or denies it (${transport})`, async () => {
    await using fleet = await startFleet(transport);
    const { night, boss, port } = fleet;
    await using service = tunnel(connect(port, "--reason", "ticket 4711"), {
      env: night,
      keepStdin: true,
    });
    await service.line(/waiting for approval.*device=x/, "stderr");
    await fleet.waiting(1);
    const [dial, ...others] = JSON.parse((await run(["approvals", "--json"], boss)).stdout);
    assert.equal(others, []);
    const { id, device, operator, reason } = dial;
    assert.equal([device, operator, dial.port, reason], ["x", "night", port, "ticket 4711"]);
    assert.ok(Date.parse(dial.since) < Date.parse(dial.until));
    const table = await run(["approvals"], boss);
    assert.match(
      table.stdout,
      new RegExp(`^${id} +night +x:${port} +until \\S+Z +ticket 4711$`, "m"),
    );

    // Not by who dials, who is not even told of it.
    assert.match((await run(["approvals"], night)).stdout, /no dial waits/);
    const own = await run(["approve", id], night);
    assert.is(own.code, 1);
    assert.match(own.stderr, /no such dial waits for your decision; see `tunnel approvals`/);
    assert.is(fleet.connections(), 0);

    const approved = await run(["approve", id], boss);
    assert.equal([approved.code, approved.stdout], [0, `approved night -> x:${port}\n`]);
    await service.line(/^connected$/m);
    await service.type("and back\n");
    await service.line(/^and back$/m);
    await fleet.device.line(/dial accepted.*approved=boss/, "stderr");
    assert.is(service.stderr.match(/waiting for approval/g)!.length, 1);
    assert.is((await run(["approve", id], boss)).code, 1);

    await using second = tunnel(connect(port), { env: night, stdin: "" });
    await second.line(/waiting for approval/, "stderr");
    await fleet.waiting(1);
    const [{ id: next }] = JSON.parse((await run(["approvals", "--json"], boss)).stdout);
    const denied = await run(["deny", next], boss);
    assert.equal([denied.code, denied.stdout], [0, `denied night -> x:${port}\n`]);
    const { code, stderr } = await bounded("the second", second.outcome());
    assert.is(code, 3);
    assert.match(stderr, /operator boss denied it\n$/);
  });

  test(`a dial whose operator leaves waits no longer (${transport})`, async () => {
    await using fleet = await startFleet(transport);
    await using service = tunnel(connect(fleet.port), { env: fleet.night, keepStdin: true });
    await service.line(/waiting for approval/, "stderr");
    await fleet.waiting(1);
    service.kill("SIGTERM");
    await bounded("the service", service.outcome());
    await fleet.waiting(0);
    await fleet.device.line(/dial refused/, "stderr");
    assert.is(fleet.connections(), 0);
  });
}

test("without a decision the dial ends with exit code 3", async () => {
  await using fleet = await startFleet("auto", "--approve-timeout", "1s");
  const { code, stderr } = await run(connect(fleet.port), fleet.night);
  assert.is(code, 3);
  assert.match(stderr, /nobody approved the dial within 1 s; ask whoever may approve it/);
});

test.run();

/** A relay, a device x that asks operators, and the homes of operators night and boss. */
async function startFleet(transport: string, ...options: string[]) {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const common = { TUNNEL_TRANSPORT: transport };
  const night = { ...common, TUNNEL_HOME: `${dir.path}/relay`, USER: "night" };
  const boss = { ...common, TUNNEL_HOME: `${dir.path}/boss` };
  const { relay } = stack.use(
    await startRelay(night.TUNNEL_HOME, { mayApprove: (operator) => operator === "boss" }),
  );
  const target = stack.use(startTarget());
  const args = ["device", "--id", "x", "--allow", String(target.port), "--approve", ...options];
  const device: Running = stack.use(tunnel(args, { env: night }));
  await device.line(/^device x online/m);
  const { stdout: join } = await run(["invite", "operator", "boss"], night);
  return {
    device,
    night,
    boss: { ...boss, TUNNEL_JOIN: join.trim() },
    port: target.port,
    connections: () => target.connections,
    /** Until so many dials wait at the relay: their operators are told so a little before. */
    waiting: (count: number) =>
      until(`${count} waiting dials`, () => relay.approvals.size === count),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A target that says so when somebody connects, and repeats what it gets. */
function startTarget() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const target = {
    port: listener.addr.port,
    connections: 0,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      await bounded("the target's connections", Promise.all(echoing));
    },
  };
  const echoing: Promise<void>[] = [];
  const serving = (async () => {
    for await (const conn of listener) {
      target.connections++;
      await conn.write(new TextEncoder().encode("connected\n"));
      // Whoever resets the connection has heard enough.
      echoing.push(conn.readable.pipeTo(conn.writable).catch(() => {}));
    }
  })();
  return target;
}

function connect(port: number, ...more: string[]): string[] {
  return ["connect", "x", String(port), "--stdio", ...more];
}

async function run(args: string[], env: Record<string, string> = {}) {
  await using process = tunnel(args, { env, stdin: "" });
  return await bounded(`tunnel ${args.join(" ")}`, process.outcome());
}

/** Whether a process is no more. */
async function isGone(pid: number): Promise<boolean> {
  const status = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => null);
  // What has ended and waits for its parent to ask is no more.
  return status === null || /\) Z /.test(status);
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const waiting = async () => {
    while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await bounded(what, waiting());
}
