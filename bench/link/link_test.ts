/** The emulated link, by programs on both of its sides. Every bound on time is a lower one. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withDeadline } from "../../core/deadline.ts";
import { failureOf } from "../../tests/failure.ts";
import { Running, tempDir } from "../../tests/processes.ts";
import { newSeed } from "../../tests/random.ts";
import { DEVICE } from "./namespace.ts";
import { openLink } from "./link.ts";
import { testOverLink } from "./require.ts";
import { Ground } from "./test_ground.ts";

const NAMESPACES = "/var/run/netns";

const test = suite("link");
const testLink = (name: string, body: () => Promise<void>) => testOverLink(test, [], name, body);

await testLink("delay: a round trip takes at least two of them", async () => {
  await using ground = await Ground.open({ delay: 30 });
  await ground.connect();
  assert.ok(await ground.near.ask("echo", 1) >= 60);
});

for (const [toFar, toNear] of [[16, 0], [0, 16]] as const) {
  await testLink(`rate: ${toFar} there and ${toNear} back holds bytes up`, async () => {
    const bytes = 400_000;
    await using ground = await Ground.open({ rate: { toFar, toNear } });
    await ground.connect();
    assert.ok(await ground.near.ask("echo", bytes) >= bytes * 8 / 16_000);
    const counters = await ground.link.end();
    assert.ok(counters.toFar.bytes > bytes);
    assert.ok(counters.toNear.bytes > bytes);
  });
}

await testLink("queue: what does not fit is dropped", async () => {
  // Eight seconds a datagram.
  await using ground = await Ground.open({ rate: 0.001, queue: 3000 });
  await ground.send("far", 50, 1000);
  const { overflowed, packets } = (await ground.link.end()).toFar;
  assert.ok(overflowed >= 40, `${overflowed} overflowed`);
  assert.ok(packets <= 10, `${packets} packets`);
});

await testLink("loss: of everything one way, of nothing the other way", async () => {
  await using ground = await Ground.open({ loss: { toFar: 100, toNear: 0 } });
  await ground.send("far", 20);
  await ground.send("near", 20);
  assert.is((await ground.near.ask("received", 20)).length, 20);
  const { toFar, toNear } = await ground.link.end();
  assert.equal([toFar.packets, toFar.lost], [0, 20]);
  assert.equal([toNear.packets, toNear.lost], [20, 0]);
});

await testLink("seed: the same loses the same packets, another others", async () => {
  const seed = newSeed();
  const first = await lossy(seed);
  assert.equal(await lossy(seed), first);
  assert.not.equal(await lossy(seed + 1), first);
});

await testLink("blackout: stops a TCP echo, which goes on afterwards", async () => {
  await using ground = await Ground.open();
  const { link, near } = ground;
  await ground.connect();
  await near.ask("echo", 1);
  await link.blackout(true);
  await near.ask("write", 1);
  let answered = false;
  const answer = near.ask("read", 1).then(() => answered = true);
  await ground.send("far", 20);
  assert.not(answered);
  await link.blackout(false);
  await answer;
  await ground.send("far", 3);
  assert.is((await ground.far.ask("received", 3)).length, 3);
  const { toFar } = await link.end();
  assert.ok(toFar.dark > 20, `${toFar.dark} dark`);
});

await testLink("blockUdp: stops UDP, both ways, and leaves TCP alone", async () => {
  await using ground = await Ground.open();
  const { link, near, far } = ground;
  await ground.connect();
  await link.blockUdp(true);
  await ground.send("far", 20);
  await ground.send("near", 10);
  await near.ask("echo", 1);
  await link.blockUdp(false);
  await ground.send("far", 5);
  assert.is((await far.ask("received", 5)).length, 5);
  const { toFar, toNear } = await link.end();
  assert.equal([toFar.blocked, toNear.blocked], [20, 10]);
});

await testLink("switches: calls that overlap take effect in their order", async () => {
  await using ground = await Ground.open();
  const { link } = ground;
  await Promise.all([
    link.blackout(true),
    link.blackout(false),
    link.blockUdp(true),
    link.blackout(true),
    link.blackout(true),
    link.blackout(false),
    link.blockUdp(false),
  ]);
  await ground.connect();
  await ground.near.ask("echo", 1);
  const { toFar, toNear } = await link.end();
  assert.equal([toFar.dark, toFar.blocked, toNear.dark, toNear.blocked], [0, 0, 0, 0]);
});

await testLink("changeAddress: the same socket goes on from the new address", async () => {
  await using ground = await Ground.open();
  const { link, far } = ground;
  const old = link.near.address;
  assert.is(await ground.connect(), old);
  await ground.send("far", 1);
  await far.ask("received", 1);
  const address = await link.changeAddress();
  assert.not.equal(address, old);
  assert.is(link.near.address, address);
  await ground.send("far", 1);
  const sources = (await far.ask("received", 2)).map(({ from }) => from);
  assert.equal(sources, [old, address]);
  assert.is(await ground.connect(), address);
  assert.ok(await ground.near.ask("echo", 100_000) > 0);
  assert.not.equal(await link.changeAddress(), old);
});

await testLink("useTcp: connections go on, by a control that the kernel has", async () => {
  await using ground = await Ground.open();
  const { link, near } = ground;
  await link.useTcp("reno");
  await ground.connect();
  await near.ask("echo", 100_000);
  assert.is((await failureOf(link.useTcp("none-such"))).code, "unavailable");
});

await testLink("two links at once do not meet", async () => {
  await using one = await Ground.open();
  await using other = await Ground.open();
  await other.link.blackout(true);
  await one.connect();
  await one.near.ask("echo", 1);
  const { toFar, toNear } = await other.link.end();
  assert.equal([toFar.dark, toNear.dark], [0, 0]);
});

await testLink("end: no process, no namespace, no device is left", async () => {
  await using ground = await Ground.open();
  const { near, far, pid } = ground.link;
  assert.ok(exists(near.name) && exists(far.name) && isAlive(pid));
  assert.ok((await ground.near.ask("interfaces")).includes(DEVICE));
  await ground.link[Symbol.asyncDispose]();
  assert.not(exists(near.name) || exists(far.name) || isAlive(pid));
  // The peers are still there, and with them their networks.
  for (const peer of [ground.near, ground.far]) {
    assert.equal(await peer.ask("interfaces"), ["lo"]);
  }
  assert.is((await failureOf(ground.link.blackout(true))).code, "closed");
});

await testLink("openLink: figures that cannot be leave nothing behind", async () => {
  assert.is((await failureOf(openLink({ rate: -1 }))).code, "usage");
  assert.is((await failureOf(openLink({ mtu: 1 }))).code, "unavailable");
  const left = [...Deno.readDirSync(NAMESPACES)].map(({ name }) => name)
    .filter((name) => name.startsWith(`tunnel-${Deno.pid}-`));
  assert.equal(left, []);
});

for (const signal of ["SIGINT", "SIGKILL"] as const) {
  await testLink(`${signal} to the owner leaves no process and no namespace`, async () => {
    // What it compiles outlives it.
    await using dir = await tempDir();
    const module = JSON.stringify(new URL("link.ts", import.meta.url));
    await using owner = new Running([
      ...[Deno.execPath(), "eval", "--quiet"],
      `import { openLink } from ${module};
       const { near, far, pid } = await openLink();
       console.log("open", JSON.stringify({ names: [near.name, far.name], pid }));`,
    ], { env: { TMPDIR: dir.path } });
    const { names, pid } = JSON.parse(await owner.line(/^open (.*)$/m));
    assert.ok(names.every(exists) && isAlive(pid));
    await withDeadline({ action: "await the namespaces' end", timeout: 60_000 }, async () => {
      using changes = Deno.watchFs(NAMESPACES);
      owner.kill(signal);
      for await (const _ of changes) if (!names.some(exists)) return;
    });
    assert.not(isAlive(pid));
  });
}

test.run();

/** The numbers that arrive of 100 datagrams when three in ten are lost. */
async function lossy(seed: number): Promise<number[]> {
  await using ground = await Ground.open({ loss: 30, seed });
  await ground.send("far", 100);
  const { packets, lost } = (await ground.link.end()).toFar;
  assert.is(packets + lost, 100);
  return (await ground.far.ask("received", packets)).map(({ number }) => number);
}

function exists(name: string): boolean {
  return [...Deno.readDirSync(NAMESPACES)].some((entry) => entry.name === name);
}

function isAlive(pid: number): boolean {
  return [...Deno.readDirSync("/proc")].some((entry) => entry.name === String(pid));
}
