/** Credentials as people meet them: renewed, rotated, and signed by an authority without a network. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { bounded } from "./bounded.ts";
import { Echo, echoServer } from "./echo.ts";
import { type Running, tempDir, tunnel } from "./processes.ts";

const test = suite("credentials");

test("the new commands have examples, and words for what is wrong", async () => {
  for (const command of ["authority", "request", "rotate"]) {
    const { code, stdout } = await run([command, "--help"]);
    assert.is(code, 0);
    assert.match(stdout, new RegExp(`Examples?:\\s+tunnel ${command} `));
  }
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  const wrong: [string[], RegExp][] = [
    [["authority", "fly"], /neither init nor sign/],
    [["authority", "init", "x"], /neither init nor sign/],
    [["request", "relay", "x"], /neither device nor operator/],
    [["request", "device", "a/b"], /device ID/],
    [["request", "device", "x", "--authority", "{}"], /not an Ed25519 public key/],
    [["rotate", "device"], /names no member/],
    [["rotate", "operator", "anna"], /names no member/],
    [["relay", "--authority", `${dir.path}/none`], /authority's public key/],
    [["relay", "--device-validity", "5"], /duration/],
    [["device", "--id", "x", "--join", "ts1.abc"], /signed string/],
  ];
  for (const [args, pattern] of wrong) {
    const { code, stderr } = await run(args, env);
    assert.is(code, 2, stderr);
    assert.match(stderr, pattern);
    assert.is(stderr.trimEnd().split("\n").length, 1, stderr);
  }
  const none = await run(["authority", "sign", "tr1.x"], env);
  assert.is(none.code, 3);
  assert.match(none.stderr, /has no authority/);
});

test("a device's short credential is renewed again and again, and nothing is interrupted", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  const args = ["relay", "--listen", "127.0.0.1:0", "--device-validity", "10s"];
  await using relay = tunnel(args, { env });
  await relay.line(/^relay ready/m);
  await using target = echoServer();
  await using device = tunnel(["device", "--id", "x", "--allow", target.port], { env });
  await device.line(/^device x online/m);
  const first = await identity(`${dir.path}/devices/x.json`);
  await using service = tunnel(["connect", "x", target.port], { env });
  await using echo = await Echo.open(await listening(service));
  // The second comes after the first credential has ended.
  await device.line(/credential renewed[^]*credential renewed/, "stderr");
  assert.ok(Date.now() >= claims(first).exp * 1_000);
  await echo.works();
  assert.match(device.stdout, /^device x online via \w+\n$/);
  assert.not.match(device.stderr, /no session with the relay/);
  const last = await identity(`${dir.path}/devices/x.json`);
  assert.ok(claims(last).exp >= claims(first).exp + 10);
  assert.equal(keysOf(last), keysOf(first));
  await isPrivate(`${dir.path}/devices/x.json`);
  await using again = await Echo.open(await listening(service));
  await again.works();
});

test("who was revoked and is invited again joins where its old identity still is", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: `${dir.path}/relay` };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  const invite = async () => (await run(["invite", "device", "x"], env)).stdout.trim();
  const online = async (join: string) => {
    const away = { TUNNEL_HOME: `${dir.path}/device`, TUNNEL_JOIN: join };
    await using device = tunnel(["device", "--id", "x"], { env: away });
    await device.line(/^device x online/m);
    return { stderr: device.stderr, kept: await identity(`${dir.path}/device/devices/x.json`) };
  };
  const first = await invite();
  const before = await online(first);
  // The service that it is starts again with the same words.
  assert.equal((await online(first)).kept, before.kept);
  assert.is((await run(["revoke", "device", "x"], env)).code, 0);
  const out = await run(["device", "--id", "x"], { TUNNEL_HOME: `${dir.path}/device` });
  assert.is(out.code, 3);
  assert.match(out.stderr, /device x was revoked/);
  const second = await invite();
  const after = await online(second);
  assert.is.not(after.kept.credential, before.kept.credential);
  assert.equal((await online(second)).kept, after.kept);
  const spent = await online(first);
  assert.equal(spent.kept, after.kept);
  assert.match(spent.stderr, /the join string is not used why="[^"]+" identity="as before"/);
  // A relay that is away is waited for, whatever the string.
  relay.kill("SIGKILL");
  await relay.outcome();
  await using device = tunnel(["device", "--id", "x"], {
    env: { TUNNEL_HOME: `${dir.path}/device`, TUNNEL_JOIN: first },
  });
  await device.line(/no session with the relay/, "stderr");
});

test("`tunnel rotate` gives a running device new keys; who pinned the old one is told both", async () => {
  await using dir = await tempDir();
  const env = { TUNNEL_HOME: dir.path };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using target = echoServer();
  await using device = tunnel(["device", "--id", "x", "--allow", target.port], { env });
  await device.line(/^device x online/m);
  await using pinning = tunnel(["connect", "x", target.port, "--pin", "--verbose"], { env });
  await using echo = await Echo.open(await listening(pinning));
  const old = await pinning.line(/device x has the key (SHA256:\S+)/, "stderr");
  const first = await identity(`${dir.path}/devices/x.json`);

  const rotated = await run(["rotate", "device", "x"], env);
  assert.is(rotated.code, 0, rotated.stderr);
  const [, key] = rotated.stdout.match(/^device x has the key (SHA256:\S+)\n$/) ?? [];
  assert.ok(key && key !== old, rotated.stdout);
  const last = await identity(`${dir.path}/devices/x.json`);
  assert.is.not(last.privateKey.x, first.privateKey.x);
  assert.is.not(last.agreementKey.x, first.agreementKey.x);
  await isPrivate(`${dir.path}/devices/x.json`);

  await echo.works();
  assert.match(device.stdout, /^device x online via \w+\n$/);
  const refused = await run(["connect", "x", target.port, "--pin", "--stdio"], env);
  assert.is(refused.code, 3);
  assert.ok(refused.stderr.includes(key!) && refused.stderr.includes(old), refused.stderr);
  await using trusting = tunnel(["connect", "x", target.port, "--verbose"], { env });
  await using anew = await Echo.open(await listening(trusting));
  await anew.works();
  assert.ok(trusting.stderr.includes(key!), trusting.stderr);

  const operator = await identity(`${dir.path}/operator.json`);
  assert.is((await run(["rotate", "operator"], env)).code, 0);
  const changed = await identity(`${dir.path}/operator.json`);
  assert.is.not(changed.privateKey.x, operator.privateKey.x);
  assert.is(claims(changed).exp, claims(operator).exp);
  assert.is((await run(["devices"], env)).code, 0);

  // With no process of the device running, the command does it itself.
  device.kill();
  await device.outcome();
  assert.is((await run(["rotate", "device", "x"], env)).code, 0);
  assert.is.not((await identity(`${dir.path}/devices/x.json`)).privateKey.x, last.privateKey.x);
  await using back = tunnel(["device", "--id", "x"], { env });
  await back.line(/^device x online/m);
});

test("an authority without a network signs what is carried to it, and the relay cannot", async () => {
  await using dir = await tempDir();
  const home = (name: string) => ({ TUNNEL_HOME: `${dir.path}/${name}` });
  const file = (name: string) => `${dir.path}/${name}`;
  const init = await run(["authority", "init"], home("authority"));
  assert.is(init.code, 0, init.stderr);
  assert.equal(Object.keys(JSON.parse(init.stdout)).sort(), ["crv", "kty", "x"]);
  assert.is((await run(["authority", "init"], home("authority"))).stdout, init.stdout);
  await Deno.writeTextFile(file("authority.pub"), init.stdout);
  const key = file("authority/relay/authority.jwk");
  await isPrivate(key);
  const secret = await run(["relay", "--authority", key], home("relay"));
  assert.is(secret.code, 2);
  assert.match(secret.stderr, /it is the private key/);

  const args = ["relay", "--listen", "127.0.0.1:0", "--authority", file("authority.pub")];
  await using relay = tunnel(args, { env: home("relay") });
  const url = await relay.line(/^relay ready (.*)$/m);
  const endpoint = JSON.parse(await Deno.readTextFile(file("relay/relay/endpoint.json")));
  await Deno.writeTextFile(file("root.pem"), endpoint.root);
  assert.not.ok(await exists(file("relay/relay/authority.jwk")));
  const invited = await run(["invite", "device", "x"], home("relay"));
  assert.is(invited.code, 3);
  assert.match(invited.stderr, /public key alone.*tunnel request device x.*tunnel authority sign/);

  const where = ["--relay", url, "--root", file("root.pem")];
  const sign = async (request: string, more: string[] = []) => {
    const signed = await run(["authority", "sign", ...where, ...more], home("authority"), request);
    assert.is(signed.code, 0, signed.stderr);
    return signed;
  };
  const request = await run(
    ["request", "device", "x", "--authority", init.stdout.trim()],
    home("device"),
  );
  assert.match(request.stdout, /^tr1\.[\w.-]+\n$/);
  await isPrivate(file("device/pending/device-x.json"));
  const pending = JSON.parse(await Deno.readTextFile(file("device/pending/device-x.json")));
  for (const { d } of [pending.privateKey, pending.agreementKey]) {
    assert.not.match(request.stdout + request.stderr, d);
  }
  const signed = await sign(request.stdout, ["--validity", "12s"]);
  const [print] = request.stderr.match(/SHA256:\S+/)!;
  assert.match(signed.stderr, /^device x until /);
  assert.ok(signed.stderr.includes(print), "both ends show the same fingerprint");
  assert.match(signed.stdout, /^ts1\.[\w-]+\n$/);

  // Only the home that asked can use it, and only as what it is.
  const stranger = await run(["device", "--id", "x", "--join", signed.stdout], home("stranger"));
  assert.is(stranger.code, 3);
  assert.match(stranger.stderr, /not for the keys that this home keeps/);
  const other = await run(["device", "--id", "y", "--join", signed.stdout], home("device"));
  assert.is(other.code, 2);
  await run(["authority", "init"], home("mallory"));
  const forged = await run(["authority", "sign", ...where, request.stdout], home("mallory"));
  const refused = await run(["device", "--id", "x", "--join", forged.stdout], home("device"));
  assert.is(refused.code, 3);
  assert.match(refused.stderr, /signed by the authority \S+, and \S+ is expected/);

  await using target = echoServer();
  await Deno.writeTextFile(file("x.signed"), signed.stdout);
  const start = (text: string) =>
    tunnel(["device", "--id", "x", "--join", text, "--allow", target.port], {
      env: home("device"),
    });
  await using device = start(`@${file("x.signed")}`);
  await device.line(/^device x online/m);
  assert.not.ok(await exists(file("device/pending/device-x.json")));
  await isPrivate(file("device/devices/x.json"));

  const asked = await run(["request", "operator", "anna"], home("anna"));
  const anna = (await sign(asked.stdout)).stdout.trim();
  // The relay has never heard of her.
  assert.is((await run(["grant", "anna", `x:${target.port}`], home("relay"))).code, 0);
  await using service = tunnel(["connect", "x", target.port, "--join", anna], {
    env: home("anna"),
  });
  await using echo = await Echo.open(await listening(service));
  await echo.works();

  // Less than a third is left: the relay cannot renew, and the device says what to do.
  await device.line(/not renewed.*tunnel request device x.*tunnel authority sign/, "stderr");
  const renewal = await run(["request", "device", "x"], home("device"));
  assert.ok(renewal.stderr.includes(print), "the keys stay");
  const { code, stderr } = await bounded("the device's end", device.outcome());
  assert.is(code, 3);
  assert.match(stderr, /the credential of device x expired at/);

  await using renewed = start((await sign(renewal.stdout)).stdout);
  await renewed.line(/^device x online/m);
  renewed.kill();
  await renewed.outcome();
  // The old string may stay on the command line of a service.
  await using kept = start(`@${file("x.signed")}`);
  await kept.line(/^device x online/m);
  const fresh = await run(["request", "device", "x", "--rotate-keys"], home("device"));
  assert.not.ok(fresh.stderr.includes(print), "the keys are new");
  kept.kill();
  await kept.outcome();
  await using rotated = start((await sign(fresh.stdout)).stdout);
  await rotated.line(/^device x online/m);
});

test.run();

async function run(args: string[], env: Record<string, string> = {}, stdin = "") {
  await using process = tunnel(args, { env, stdin });
  return await bounded(`tunnel ${args.join(" ")}`, process.outcome());
}

async function listening(service: Running): Promise<number> {
  return Number(await service.line(/^listening 127\.0\.0\.1:(\d+)/m));
}

interface Kept {
  credential: string;
  privateKey: { x: string };
  agreementKey: { x: string };
}

async function identity(path: string): Promise<Kept> {
  return JSON.parse(await Deno.readTextFile(path));
}

function keysOf({ privateKey, agreementKey }: Kept): string[] {
  return [privateKey.x, agreementKey.x];
}

function claims({ credential }: Kept): { exp: number } {
  return JSON.parse(atob(credential.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
}

async function isPrivate(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  assert.is((await Deno.stat(path)).mode! & 0o777, 0o600, path);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
