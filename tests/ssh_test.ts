/** Real OpenSSH through the tunnel, over every way there is. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { digestOf, pattern } from "./demo_parts.ts";
import { type Running, runToEnd, tempDir, tunnel, tunnelCommand } from "./processes.ts";
import { testWith } from "./require.ts";
import { freePort, startSshServer, untilListening } from "./ssh_server.ts";
import { Running as Process } from "./processes.ts";

const SIZE = 200 * 1024 * 1024;
const TOOLS = ["sshd", "ssh", "scp", "sftp", "rsync", "ssh-keygen"];

const test = suite("ssh");

for (const way of ["quic", "websocket", "proxy"]) {
  const programs = way === "proxy" ? [...TOOLS, "tinyproxy"] : TOOLS;
  testWith(test, programs, `login, scp, sftp, rsync and ssh -L over ${way}`, async () => {
    await using dir = await tempDir();
    await using server = await startSshServer(dir.path);
    const env: Record<string, string> = { TUNNEL_HOME: `${dir.path}/home` };
    await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
    await relay.line(/^relay ready/m);
    await using proxy = way === "proxy" ? await startProxy(dir.path) : undefined;
    if (proxy) env.TUNNEL_PROXY = `http://factory:s3cret.word@127.0.0.1:${proxy.port}`;
    env.TUNNEL_TRANSPORT = way === "proxy" ? "auto" : way;
    const allow = ["--allow", String(server.port)];
    await using device = tunnel(["device", "--id", "x", ...allow], { env });
    const expected = way === "quic" ? "quic" : "websocket";
    await device.line(new RegExp(`^device x online via ${expected}$`, "m"));

    const command = [...tunnelCommand(), "connect", "%h", String(server.port), "--stdio"].join(" ");
    const ssh = [...server.options, "-o", `ProxyCommand=${command}`];
    const target = `${server.user}@x`;
    const run = async (program: string, args: string[], stdin?: string) => {
      const outcome = await runToEnd([program, ...args], { env, stdin });
      assert.is(outcome.code, 0, `${program}: ${outcome.stderr}`);
      return outcome.stdout;
    };

    assert.is(await run("ssh", [...ssh, target, "echo it works"]), "it works\n");

    const file = await Deno.open(`${dir.path}/original`, { create: true, write: true });
    await pattern(SIZE).pipeTo(file.writable);
    const original = await digest(`${dir.path}/original`);
    const same = async (name: string) =>
      assert.is(await digest(`${dir.path}/${name}`), original, `${name} differs`);

    // -O: the scp protocol proper; without it scp speaks sftp, which is tested beside it.
    await run("scp", ["-O", ...ssh, `${dir.path}/original`, `${target}:${dir.path}/scp-up`]);
    await same("scp-up");
    await run("scp", ["-O", ...ssh, `${target}:${dir.path}/original`, `${dir.path}/scp-down`]);
    await same("scp-down");
    const batch = `put ${dir.path}/original ${dir.path}/sftp-up
get ${dir.path}/original ${dir.path}/sftp-down\n`;
    await run("sftp", [...ssh, "-b", "-", target], batch);
    await same("sftp-up");
    await same("sftp-down");
    const shell = ["ssh", ...ssh].map((word) => word.includes(" ") ? `'${word}'` : word).join(" ");
    await run("rsync", ["-e", shell, `${dir.path}/original`, `${target}:${dir.path}/rsync-up`]);
    await same("rsync-up");

    await forward(dir.path, ssh, target, env);

    if (proxy) assert.match(await proxy.log(), /CONNECT 127\.0\.0\.1:\d+/);
    for (const process of [relay, device]) {
      assert.not.match(process.stdout + process.stderr, /s3cret\.word/);
    }
  });
}

testWith(test, TOOLS, "tunnel ssh fills in the ProxyCommand and passes arguments on", async () => {
  await using dir = await tempDir();
  await using server = await startSshServer(dir.path);
  const env = { TUNNEL_HOME: `${dir.path}/home` };
  await using relay = tunnel(["relay", "--listen", "127.0.0.1:0"], { env });
  await relay.line(/^relay ready/m);
  await using device = tunnel(["device", "--id", "x", "--allow", String(server.port)], { env });
  await device.line(/^device x online/m);
  const words = ["ssh", `${server.user}@x`, "--port", String(server.port), "--"];
  const options = { env, stdin: "from stdin\n" };
  await using process = tunnel([...words, ...server.options, "cat; exit 7"], options);
  const { code, stdout, stderr } = await process.outcome();
  assert.is(stdout, "from stdin\n", stderr);
  assert.is(code, 7);
});

test.run();

/** A web page behind the device, through `ssh -L` inside the tunnel. */
async function forward(
  dir: string,
  ssh: readonly string[],
  target: string,
  env: Record<string, string>,
): Promise<void> {
  await using web = server();
  const port = freePort();
  const args = ["-N", "-L", `127.0.0.1:${port}:127.0.0.1:${web.port}`, target];
  await using session: Running = new Process(["ssh", ...ssh, ...args], { env, cwd: dir });
  await untilListening(port);
  assert.is(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "behind the device");
  session.kill();
}

function server(): AsyncDisposable & { port: number } {
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const web = Deno.serve(options, () => new Response("behind the device"));
  return { port: web.addr.port, [Symbol.asyncDispose]: () => web.shutdown() };
}

async function startProxy(dir: string) {
  const port = freePort();
  await Deno.writeTextFile(
    `${dir}/tinyproxy.conf`,
    `Port ${port}
Listen 127.0.0.1
Timeout 600
MaxClients 100
LogFile "${dir}/tinyproxy.log"
LogLevel Connect
BasicAuth factory s3cret.word
`,
  );
  const proxy = new Process(["tinyproxy", "-d", "-c", `${dir}/tinyproxy.conf`]);
  await untilListening(port);
  return {
    port,
    log: () => Deno.readTextFile(`${dir}/tinyproxy.log`),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

async function digest(path: string): Promise<string> {
  const file = await Deno.open(path);
  return (await digestOf(file.readable)).digest;
}
