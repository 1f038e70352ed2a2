/** The program as people meet it: its lines, exit codes, errors, files, signals. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SqliteStore } from "../stores/sqlite.ts";
import { bounded } from "./conformance.ts";
import { diagnosticsServer } from "./demo_parts.ts";
import { type Running, tempDir, tunnel } from "./processes.ts";

const test = suite("cli");

const secret = "eyJ1IjoidHVubmVsOi8vYSIsInMiOiJ";
for (
  const [what, args] of [
    ["behind a command", ["device", "--id", "x", `tj1.${secret}`]],
    ["in place of a command", [`tj1.${secret}`]],
    ["in place of a device ID", ["connect", `tj1.${secret}`, "22"]],
    ["in place of a URL", ["doctor", "--relay", `tj1.${secret}`]],
  ] as const
) {
  test(`a join string ${what} is a usage error that does not repeat it`, async () => {
    await using dir = await tempDir();
    const { code, stdout, stderr } = await run([...args], { TUNNEL_HOME: dir.path });
    assert.is(code, 2, stderr);
    assert.match(stderr, /tj1\.\.\./);
    assert.is((stdout + stderr).includes(secret.slice(0, 6)), false, stderr);
  });
}

test("a limit in the environment counts, and one that is wrong is named", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path, TUNNEL_LIMIT: "dials=5, dial-rate=fast" };
  const { code, stderr } = await run(["relay"], env);
  assert.is(code, 2);
  assert.match(stderr, /read --limit dial-rate/);
  const list = await run(["relay", "--limits"], { TUNNEL_HOME: dir.path });
  assert.is(list.code, 0);
  assert.match(list.stdout, /^operator-sessions=64 /m);
});

const ADMINISTRATIVE = ["grant", "revoke", "rights", "operators", "grants", "audit"];
test("every command's help has an example", async () => {
  for (
    const command of [
      "relay",
      "invite",
      "device",
      "connect",
      "ssh",
      "devices",
      "doctor",
      ...ADMINISTRATIVE,
    ]
  ) {
    const { code, stdout } = await run([command, "--help"]);
    assert.is(code, 0);
    assert.match(stdout, new RegExp(`Examples?:\\s+tunnel ${command} `));
  }
});

test("on one machine with one home, three commands are all", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready tunnel:\/\/127\.0\.0\.1:\d+$/m);
  const web = diagnosticsServer();
  await using device = tunnel(["device", "--id", "x", "--allow", String(web.port)], { env });
  await device.line(/^device x online via quic$/m);
  await using service = tunnel(["connect", "x", String(web.port)], { env });
  const port = await service.line(/^listening 127\.0\.0\.1:(\d+) -> x:\d+ via quic$/m);
  assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /diagnostics/);

  const list = await run(["devices", "--json"], env);
  const [x] = JSON.parse(list.stdout);
  assert.equal([x.id, x.online, x.transport, x.remote], ["x", true, "quic", "127.0.0.1"]);
  assert.match((await run(["devices"], env)).stdout, /^x +online +since \S+ +quic +127\.0\.0\.1$/m);
  const doctor = await run(["doctor"], env);
  assert.is(doctor.code, 0);
  assert.match(doctor.stdout, /ok +UDP, QUIC +connected in .* round trip/);
  assert.match(doctor.stdout, /ok +TCP, WebSocket +connected in .* round trip/);

  for (const process of [service, device, relay]) {
    process.kill("SIGTERM");
    const { code, stderr } = await bounded("the end", process.outcome());
    assert.is(code, 0, stderr);
  }
  assert.is(relay.stdout.trimEnd().split("\n").length, 1, "the relay printed more than one line");
  await web.close();
});

test("a stranger's home joins with a join string, once, and keeps its credential private", async () => {
  await using dir = await tempDir();
  const relayHome = { TUNNEL_HOME: `${dir.path}/relay` };
  const away = { TUNNEL_HOME: `${dir.path}/device` };
  const other = { TUNNEL_HOME: `${dir.path}/other` };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env: relayHome });
  await relay.line(/^relay ready/m);
  const none = await run(["device", "--id", "x"], away);
  assert.is(none.code, 3);
  assert.match(none.stderr, /tunnel invite device x/);

  const invitation = await run(["invite", "device", "x"], relayHome);
  assert.match(invitation.stdout, /^tj1\.[A-Za-z0-9_-]+\n$/);
  const join = invitation.stdout.trim();
  await Deno.writeTextFile(`${dir.path}/join`, invitation.stdout);
  {
    await using device = tunnel(["device", "--id", "x", "--join", `@${dir.path}/join`], {
      env: away,
    });
    await device.line(/^device x online/m);
    assert.not.match(device.stderr, new RegExp(secretOf(join)));
  }
  assert.not.match(relay.stderr, new RegExp(secretOf(join)));
  if (Deno.build.os !== "windows") {
    const mode = (await Deno.stat(`${dir.path}/device/devices/x.json`)).mode! & 0o777;
    assert.is(mode, 0o600);
  }
  {
    // The same command line again, as a service manager runs it: the kept credential is used.
    await using device = tunnel(["device", "--id", "x"], { env: { ...away, TUNNEL_JOIN: join } });
    await device.line(/^device x online/m);
  }
  const reused = await run(["device", "--id", "x", "--join", join], other);
  assert.is(reused.code, 3);
  assert.match(reused.stderr, /used up/);
  const wrongRole = await run(["connect", "x", "22", "--join", join], other);
  assert.is(wrongRole.code, 2);
  const altered = await run(["device", "--id", "x", "--join", flip(join)], other);
  assert.ok([2, 3].includes(altered.code), altered.stderr);
});

test("the operator of the relay's own home may do everything, an invited one nothing yet", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path, USER: "Anna" };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  assert.is((await run(["devices"], env)).code, 0);
  const invited = await run(["invite", "operator", "night"], env);
  assert.is(invited.code, 0);
  assert.is(
    invited.stderr,
    "night may reach nothing yet; give a grant: tunnel grant night 'DEVICE:22'\n",
  );
  await using store = await SqliteStore.open(`${dir.path}/relay/store.db`);
  const { grants, standings } = await store.policy();
  assert.equal(grants.map(({ operator, scope, by }) => [operator, scope, by]), [
    ["anna", "*:*", "local:anna"],
  ]);
  assert.equal(standings.map(({ name, admin, approver }) => [name, admin, approver]), [
    ["anna", true, true],
    ["night", false, false],
  ]);
  const rows = (await store.audit({ limit: 99 })).filter(({ type }) => !type.startsWith("sign-"));
  assert.equal(rows.map(({ type, by, operator }) => [type, by, operator]), [
    ...["invite", "rights", "grant"].map((type) => [type, "local:anna", "anna"]),
    ["join", "operator:anna", "anna"],
    ["invite", "local:anna", "night"],
  ]);
});

test("exit codes tell apart what failed", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using device = tunnel(["device", "--id", "x", "--allow", "1"], { env });
  await device.line(/^device x online/m);
  assert.is((await run(["connect", "nobody", "22"], env)).code, 4);
  assert.is((await run(["connect", "nobody", "22", "--stdio"], env)).code, 4);
  const forbidden = await run(["connect", "x", "2", "--stdio"], env);
  assert.is(forbidden.code, 6);
  assert.match(forbidden.stderr, /does not allow .*--allow 2/);
  const refused = await run(["connect", "x", "1", "--stdio"], env);
  assert.is(refused.code, 6);
  assert.match(refused.stderr, /connection refused/);
  device.kill();
  await device.outcome();
  const offline = await run(["connect", "x", "1"], env);
  assert.is(offline.code, 4);
  assert.match(offline.stderr, /offline since/);
  relay.kill();
  await relay.outcome();
  for (const transport of ["auto", "quic", "websocket"]) {
    const gone = await run(["connect", "x", "1", "--transport", transport], env);
    assert.is(gone.code, 5, gone.stderr);
    assert.is(gone.stderr.trimEnd().split("\n").length, 1, gone.stderr);
  }
});

test("--stdio ends when its channel does, though stdin is open", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = target.addr;
  await using device = tunnel(["device", "--id", "x", "--allow", String(port)], { env });
  await device.line(/^device x online/m);
  const args = ["connect", "x", String(port), "--stdio", "--resume-window", "1s"];
  await using service = tunnel(args, { env, keepStdin: true });
  using accepted = await target.accept();
  await accepted.write(new TextEncoder().encode("connected\n"));
  await service.line(/^connected$/m);
  device.kill("SIGKILL");
  const { code, stderr } = await bounded("the end", service.outcome());
  assert.is(code, 1);
  assert.match(stderr, /^[^\n]*the path .* was lost.* within 1 s[^\n]*\n$/);
});

test("a relay whose port is taken says so and what to do", async () => {
  await using dir = await tempDir();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const env = { TUNNEL_HOME: dir.path };
  const { code, stderr, stdout } = await run(["relay", "--listen", `127.0.0.1:${port}`], env);
  assert.is(code, 1);
  assert.is(stdout, "");
  assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port}.*in use|uses this port`));
  assert.match(stderr, /--listen/);
});

test("QUIC through an HTTP proxy is refused in words", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const proxy = ["--proxy", "http://user:hunter2@127.0.0.1:9", "--transport", "quic"];
  const { code, stderr } = await run(["devices", ...proxy], env);
  assert.is(code, 2);
  assert.match(stderr, /quic cannot pass the HTTP proxy/);
  assert.not.match(stderr, /hunter2/);
});

test("a second process with the same device's credential replaces the first, which ends with 3", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using first = tunnel(["device", "--id", "x"], { env });
  await first.line(/^device x online/m);
  await using second = tunnel(["device", "--id", "x"], { env });
  await second.line(/^device x online/m);
  const { code, stderr } = await bounded("the first", first.outcome());
  assert.is(code, 3);
  assert.match(stderr, /another session of device x/);
});

for (const transport of ["quic", "websocket"]) {
  test(`a killed relay comes back, the device too, and the listener never went (${transport})`, async () => {
    await using dir = await tempDir();
    const env = { TUNNEL_HOME: dir.path, TUNNEL_TRANSPORT: transport };
    let relay: Running = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
    try {
      const address = await relay.line(/^relay ready tunnel:\/\/(.*)$/m);
      const web = diagnosticsServer();
      await using device = tunnel(["device", "--id", "x", "--allow", String(web.port)], { env });
      await device.line(/^device x online/m);
      await using service = tunnel(["connect", "x", String(web.port)], { env });
      const port = await service.line(/^listening 127\.0\.0\.1:(\d+)/m);
      relay.kill("SIGKILL");
      await relay.outcome();
      relay = tunnel(["relay", "--listen", address], { env });
      await relay.line(/^relay ready/m);
      const restarted = performance.now();
      await device.line(/^device x online.*\n(?:.*\n)*device x online/m);
      console.log(`back after ${((performance.now() - restarted) / 1_000).toFixed(1)} s`);
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
        if (answer) {
          assert.match(await answer.text(), /diagnostics/);
          break;
        }
      }
      await web.close();
    } finally {
      await relay[Symbol.asyncDispose]();
    }
  });
}

test("random bytes on the relay's UDP and TCP port disturb nobody", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  const port = Number(await relay.line(/^relay ready tunnel:\/\/127\.0\.0\.1:(\d+)$/m));
  const web = diagnosticsServer();
  await using device = tunnel(["device", "--id", "x", "--allow", String(web.port)], { env });
  await device.line(/^device x online/m);
  await using service = tunnel(["connect", "x", String(web.port)], { env });
  const local = await service.line(/^listening 127\.0\.0\.1:(\d+)/m);
  const memory = await residentBytes(relay.pid);
  const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  for (let i = 0; i < 1_000; i++) {
    const bytes = crypto.getRandomValues(new Uint8Array(1_200));
    await socket.send(bytes, { transport: "udp", hostname: "127.0.0.1", port });
    // Who comes too often is reset, which may be before the system has called it connected.
    using conn = await Deno.connect({ hostname: "127.0.0.1", port }).catch(resetOnly);
    await conn?.write(bytes.subarray(0, i)).catch(() => 0);
  }
  assert.match(await (await fetch(`http://127.0.0.1:${local}/`)).text(), /diagnostics/);
  socket.close();
  const grown = await residentBytes(relay.pid) - memory;
  assert.ok(grown < 100_000_000, `the relay grew by ${grown} bytes`);
  await web.close();
});

test.run();

/** Anything else is a failure. */
function resetOnly(error: unknown): null {
  const { ConnectionReset, NotConnected } = Deno.errors;
  if (error instanceof ConnectionReset || error instanceof NotConnected) return null;
  throw error;
}

async function run(args: string[], env: Record<string, string> = {}) {
  await using process = tunnel(args, { env, stdin: "" });
  return await bounded(`tunnel ${args.join(" ")}`, process.outcome());
}

/** The secret in a join string, to look for where it must not be. */
function secretOf(join: string): string {
  const json = atob(join.slice(4).replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(json).s;
}

/** The join string with another secret. */
function flip(join: string): string {
  const json = JSON.parse(atob(join.slice(4).replace(/-/g, "+").replace(/_/g, "/")));
  json.s = `A${json.s.slice(1)}`;
  return "tj1." +
    btoa(JSON.stringify(json)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** Resident memory of a process; 0 where the system does not tell. */
async function residentBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  return Number(status.match(/^VmRSS:\s+(\d+) kB$/m)?.[1] ?? 0) * 1024;
}
