import { suite } from "uvu";
import * as assert from "uvu/assert";
import { generateMemberKeys } from "../core/membership.ts";
import { Authority } from "../core/identity/credential.ts";
import { bounded } from "../tests/bounded.ts";
import { failure } from "../tests/failure.ts";
import { tempDir } from "../tests/processes.ts";
import { Home, type Identity } from "./home.ts";
import { askToRotate, rotationsAsked } from "./rotation.ts";

const test = suite("home");
const { publicJwk: authority } = await Authority.generate();

test("a renewed identity takes the place of the one it renews, and keeps the rest", async () => {
  await using dir = await tempDir();
  const home = new Home(dir.path);
  const before = await newIdentity("first");
  await home.members.save(before);
  const next = { credential: "second", ...await generateMemberKeys() };
  assert.is(await home.members.replace(before, "first", next), true);
  assert.equal((await home.members.read("device", "x"))?.value, { ...before, ...next });
});

test("what another process has put there meanwhile is left alone", async () => {
  await using dir = await tempDir();
  const home = new Home(dir.path);
  const before = await newIdentity("first");
  assert.is(await home.members.replace(before, "first", before), false);
  assert.is(await home.members.read("device", "x"), undefined);
  const other = await newIdentity("other");
  await home.members.save(other);
  const next = { credential: "second", ...await generateMemberKeys() };
  assert.is(await home.members.replace(before, "first", next), false);
  assert.equal((await home.members.read("device", "x"))?.value, other);
});

test("of two renewals of one identity at once the second leaves the first", async () => {
  await using dir = await tempDir();
  const home = new Home(dir.path);
  const before = await newIdentity("first");
  await home.members.save(before);
  const next = await Promise.all(["a", "b"].map(async (credential) => ({
    credential,
    ...await generateMemberKeys(),
  })));
  const kept = await Promise.all(next.map((one) => home.members.replace(before, "first", one)));
  assert.equal(kept.toSorted(), [false, true]);
  const { value } = (await home.members.read("device", "x"))!;
  assert.is(value.credential, next[kept.indexOf(true)]!.credential);
});

test("keys that wait for their credential are private, and one name's do not hide another's", async () => {
  await using dir = await tempDir();
  const home = new Home(dir.path);
  const pending = { role: "device", name: "x.pending", ...await generateMemberKeys() } as const;
  await home.savePending({ ...pending, authority });
  assert.equal(await home.pending("device", "x.pending"), { ...pending, authority });
  assert.is(await home.pending("device", "x"), undefined);
  assert.is(await home.pending("operator", "x.pending"), undefined);
  if (Deno.build.os !== "windows") {
    const { mode } = await Deno.stat(`${dir.path}/pending/device-x.pending.json`);
    assert.is(mode! & 0o777, 0o600);
  }
  await home.removePending(pending);
  assert.is(await home.pending("device", "x.pending"), undefined);
});

test("a rotation that is asked for is served by one process, once", async () => {
  await using dir = await tempDir();
  const path = new Home(dir.path).rotationPath("x");
  const stop = new AbortController();
  let served = 0;
  const first = Promise.withResolvers<void>();
  const serve = async () => {
    for await (const _ of rotationsAsked(path, stop.signal)) {
      served++;
      first.resolve();
    }
  };
  const serving = [serve(), serve()];
  assert.is(await bounded("the request", askToRotate(path)), true);
  await bounded("the service", first.promise);
  assert.is(served, 1);
  assert.is(await bounded("the second request", askToRotate(path)), true);
  stop.abort();
  await bounded("the end", Promise.all(serving));
  assert.is(served, 2);
});

test("a rotation that nobody serves is taken back", async () => {
  await using dir = await tempDir();
  const path = new Home(dir.path).rotationPath("x");
  assert.is(await bounded("the request", askToRotate(path)), false);
  assert.equal(await Array.fromAsync(Deno.readDir(`${dir.path}/devices`)), []);
});

// The last two are IDs like any other, and properties that every object has or that schemas skip.
for (const device of ["pi-7", "007", "constructor", "prototype"]) {
  test(`the first key of ${device} is pinned, beside those of others`, async () => {
    const home = new Home(await Deno.makeTempDir());
    assert.is(await home.pin("other", "SHA256:o"), "SHA256:o");
    assert.is(await home.pin(device, "SHA256:first"), "SHA256:first");
    assert.is(await home.pin(device, "SHA256:second"), "SHA256:first");
    assert.is(await home.pin("other", "SHA256:second"), "SHA256:o");
    await Deno.remove(home.path, { recursive: true });
  });
}

for (const text of ["", "[]", "null", '"x"', '{"x":1}', '{"x":{}}', "{"]) {
  test(`pins.json that holds ${JSON.stringify(text)} is damaged, and is not replaced`, async () => {
    const home = new Home(await Deno.makeTempDir());
    await Deno.writeTextFile(home.pinsPath, text);
    assert.is((await failure(() => home.pin("x", "SHA256:x"))).code, "unavailable");
    assert.is(await Deno.readTextFile(home.pinsPath), text);
    await Deno.remove(home.path, { recursive: true });
  });
}

test("a home has a store once one was opened there", async () => {
  const path = await Deno.makeTempDir();
  try {
    const home = new Home(path);
    assert.is(await home.hasStore(), false);
    await (await home.openStore()).close();
    assert.is(await home.hasStore(), true);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

test.run();

async function newIdentity(credential: string): Promise<Identity> {
  const keys = await generateMemberKeys();
  const relay = "tunnel://relay.example.com";
  return { role: "device", name: "x", relay, authority, credential, ...keys };
}
