/** The contract of `core/store.ts`, run against every implementation, and what SQLite adds to it. */

import { DatabaseSync } from "node:sqlite";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TunnelError } from "../core/errors.ts";
import { hashSecret, newSecret } from "../core/identity/join.ts";
import { type Invite, INVITE_KEPT, MAX_PAGE, type Member, type Store } from "../core/store.ts";
import { bounded } from "../tests/conformance.ts";
import { failure } from "../tests/failure.ts";
import { newSeed, Random } from "../tests/random.ts";
import { parentOf, withFileLock } from "./files.ts";
import { MemoryStore } from "./memory.ts";
import { SqliteStore } from "./sqlite.ts";

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

// The test starts itself as the second process of the tests at the end.
const [task, path, list] = Deno.args;
if (task) await serve(task, path!, list!.split(","));
else runTests();

function runTests(): void {
  const dir = Deno.makeTempDirSync();
  globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
  let files = 0;
  const newPath = () => `${dir}/${++files}/store.db`;
  contract("memory", () => Promise.resolve(new MemoryStore()));
  contract("sqlite", () => SqliteStore.open(newPath()));
  sqlite(newPath);
}

function invite(secretHash: string, changed: Partial<Invite> = {}): Invite {
  const whole = { role: "device", name: "pi-7", at: NOW, expiresAt: NOW + HOUR, uses: 1 } as const;
  return { ...whole, secretHash, ...changed };
}

function member(credentialId: string, changed: Partial<Member> = {}): Member {
  const whole = { role: "device", name: "pi-7", keyThumbprint: "k", at: NOW } as const;
  return { ...whole, expiresAt: NOW + HOUR, credentialId, ...changed };
}

const seen = (at: number, hostname = "192.0.2.1") => ({
  ...{ at, transport: "quic", remote: { hostname, port: 4433 } },
});

function contract(name: string, open: () => Promise<Store>): void {
  const test = suite(`store: ${name}`);
  const random = new Random(newSeed());

  test("an invitation is redeemed for its role and name", async () => {
    await using store = await open();
    await store.createInvite(invite("h1"));
    await store.createInvite(invite("h2", { role: "operator", name: "night" }));
    assert.equal(await store.redeemInvite("h2", NOW), { role: "operator", name: "night" });
    assert.equal(await store.redeemInvite("h1", NOW), { role: "device", name: "pi-7" });
  });

  test("an invitation works as often as it says", async () => {
    await using store = await open();
    await store.createInvite(invite("h", { uses: 3 }));
    for (let use = 0; use < 3; use++) await store.redeemInvite("h", NOW);
    await refused(store, "h", NOW, "used up");
  });

  test("of twenty who redeem the last use at once, one gets it", async () => {
    await using store = await open();
    await store.createInvite(invite("h"));
    const tries = Array.from({ length: 20 }, () => store.redeemInvite("h", NOW));
    const results = await Promise.allSettled(tries);
    assert.is(results.filter(({ status }) => status === "fulfilled").length, 1);
  });

  test("unknown, expired and used up are told apart, each with what to do", async () => {
    await using store = await open();
    await store.createInvite(invite("h"));
    await refused(store, "H", NOW, "does not know");
    await refused(store, "", NOW, "does not know");
    await refused(store, "h", NOW + HOUR, "expired at 2026-01-01T01:00:00.000Z");
    await store.redeemInvite("h", NOW + HOUR - 1);
    await refused(store, "h", NOW, "used up");
    await refused(store, "h", NOW + HOUR, "used up");
  });

  test("being refused uses nothing up", async () => {
    await using store = await open();
    await store.createInvite(invite("h"));
    await refused(store, "h", NOW + HOUR, "expired");
    await store.redeemInvite("h", NOW);
  });

  test("the hash of one invitation cannot be another's", async () => {
    await using store = await open();
    await store.createInvite(invite("h"));
    const error = await failure(() => store.createInvite(invite("h", { name: "other", uses: 9 })));
    assert.is(error.code, "usage");
    assert.equal(await store.redeemInvite("h", NOW), { role: "device", name: "pi-7" });
    await refused(store, "h", NOW, "used up");
  });

  for (
    const changed of [
      ...[{ uses: 0 }, { uses: -1 }, { uses: 1.5 }, { uses: NaN }, { uses: 1_001 }],
      ...[{ expiresAt: NOW }, { expiresAt: NaN }, { expiresAt: Infinity }, { at: NOW + 0.5 }],
    ]
  ) {
    test(`no invitation is made with ${Deno.inspect(changed)}`, async () => {
      await using store = await open();
      assert.is((await failure(() => store.createInvite(invite("h", changed)))).code, "usage");
      await refused(store, "h", NOW, "does not know");
    });
  }

  test("an invitation is forgotten long after it expired, and only then", async () => {
    await using store = await open();
    await store.createInvite(invite("old"));
    const at = NOW + HOUR + INVITE_KEPT;
    await store.createInvite(invite("b", { at, expiresAt: at + HOUR }));
    await refused(store, "old", at, "expired");
    await store.createInvite(invite("c", { at: at + 1, expiresAt: at + HOUR }));
    await refused(store, "old", at, "does not know");
    await store.redeemInvite("b", at);
  });

  test("a member is who joined last, and the history keeps the others", async () => {
    await using store = await open();
    assert.is(await store.member("device", "pi-7"), undefined);
    assert.equal(await store.memberHistory("device", "pi-7"), []);
    const first = member("c1", { keyThumbprint: "k1" });
    // The second is recorded by a clock that was set back.
    const second = member("c2", { keyThumbprint: "k2", at: NOW - 1 });
    await store.recordMember(first);
    await store.recordMember(second);
    await store.recordMember(member("c3", { name: "other" }));
    await store.recordMember(member("c4", { role: "operator" }));
    assert.equal(await store.member("device", "pi-7"), second);
    assert.equal(await store.memberHistory("device", "pi-7"), [second, first]);
    assert.is((await store.member("operator", "pi-7"))?.credentialId, "c4");
  });

  test("one credential is recorded once", async () => {
    await using store = await open();
    await store.recordMember(member("c1"));
    const error = await failure(() => store.recordMember(member("c1", { name: "other" })));
    assert.is(error.code, "usage");
    assert.is(await store.isKnownDevice("other"), false);
  });

  test("a device is known by joining or by being seen, an operator is no device", async () => {
    await using store = await open();
    await store.recordMember(member("c1", { name: "joined" }));
    await store.recordMember(member("c2", { name: "night", role: "operator" }));
    await store.deviceSeen("seen", seen(NOW + 5));
    for (const [name, known] of [["joined", true], ["seen", true], ["night", false]] as const) {
      assert.is(await store.isKnownDevice(name), known);
      assert.is(await store.device(name) !== undefined, known);
    }
    assert.equal(await store.device("joined"), { name: "joined", since: NOW });
    assert.equal(await store.device("seen"), {
      ...{ name: "seen", since: NOW + 5, lastSeen: seen(NOW + 5) },
    });
  });

  test("the latest sign of life counts, whichever comes in last", async () => {
    await using store = await open();
    await store.recordMember(member("c1"));
    await store.deviceSeen("pi-7", seen(NOW + 2, "2001:db8::2"));
    await store.deviceSeen("pi-7", seen(NOW + 1, "192.0.2.9"));
    assert.equal((await store.device("pi-7"))?.lastSeen, seen(NOW + 2, "2001:db8::2"));
    await store.deviceSeen("pi-7", seen(NOW + 3));
    assert.equal((await store.device("pi-7"))?.lastSeen, seen(NOW + 3));
    assert.is((await store.device("pi-7"))?.since, NOW);
  });

  test("devices come in pages, by name, each once", async () => {
    await using store = await open();
    const names = new Set<string>();
    const alphabet = "abz09._-";
    while (names.size < 60) {
      names.add(`a${Array.from({ length: 5 }, () => alphabet[random.below(8)]).join("")}`);
    }
    for (const name of names) await store.deviceSeen(name, seen(NOW));
    const found: string[] = [];
    for (;;) {
      const page = await store.devices({ after: found.at(-1), limit: 7 });
      assert.ok(page.length <= 7);
      if (page.length === 0) break;
      found.push(...page.map(({ name }) => name));
    }
    assert.equal(found, [...names].sort());
  });

  for (const limit of [0, -1, 1.5, NaN, MAX_PAGE + 1]) {
    test(`a page of ${limit} is refused`, async () => {
      await using store = await open();
      assert.is((await failure(() => store.devices({ limit }))).code, "usage");
    });
  }

  test("what was given out is not the store's own", async () => {
    await using store = await open();
    await store.deviceSeen("a", seen(NOW));
    const record = (await store.device("a"))!;
    record.name = "b";
    record.lastSeen!.at = 0;
    assert.is((await store.device("a"))?.lastSeen?.at, NOW);
  });

  test("text that means something to SQL is text", async () => {
    await using store = await open();
    const name = "'; DROP TABLE invites; --";
    await store.createInvite(invite(name));
    await refused(store, "' OR '1'='1", NOW, "does not know");
    await store.redeemInvite(name, NOW);
  });

  test("a closed store says so, and closing it again is no error", async () => {
    const store = await open();
    await store.close();
    await store.close();
    assert.is((await failure(() => store.redeemInvite("h", NOW))).code, "closed");
  });

  test.run();
}

function sqlite(newPath: () => string): void {
  const test = suite("store: one file, several processes");

  test("what one handle records, another reads, and so does the next start", async () => {
    const path = newPath();
    {
      await using one = await SqliteStore.open(path);
      await using two = await SqliteStore.open(path);
      await one.createInvite(invite("h"));
      assert.is((await two.redeemInvite("h", NOW)).name, "pi-7");
      await refused(one, "h", NOW, "used up");
      await two.recordMember(member("c1"));
    }
    await using again = await SqliteStore.open(path);
    assert.equal(await again.member("device", "pi-7"), member("c1"));
    await refused(again, "h", NOW, "used up");
  });

  test("of two processes that redeem at once, one gets each invitation", async () => {
    const path = newPath();
    const hashes = Array.from({ length: 200 }, (_, i) => `h${i}`);
    await using store = await SqliteStore.open(path);
    for (const hash of hashes) await store.createInvite(invite(hash));
    const children = [start("redeem", path, hashes), start("redeem", path, hashes)];
    await bounded("both are ready", Promise.all(children.map((child) => child.ready)));
    await Promise.all(children.map((child) => child.go()));
    const results = await bounded(
      "both are done",
      Promise.all(children.map((child) => child.result)),
    );
    const redeemed = results.flat();
    assert.is(redeemed.length, hashes.length);
    assert.equal(new Set(redeemed), new Set(hashes));
  });

  test("a file that another process is making is not opened before that is done", async () => {
    const [path, other] = [newPath(), newPath()];
    let opening: Promise<SqliteStore>;
    await withFileLock(`${path}.lock`, async () => {
      opening = SqliteStore.open(path);
      // One that was begun later comes all the way through meanwhile.
      await (await SqliteStore.open(other)).close();
      assert.is(existsNow(path), false);
    });
    await (await bounded("the store", opening!)).close();
    assert.is(existsNow(path), true);
  });

  test("processes that make the same files at once all get them", async () => {
    const paths = Array.from({ length: 10 }, newPath);
    const children = Array.from({ length: 4 }, () => start("open", ".", paths));
    await bounded("all are ready", Promise.all(children.map((child) => child.ready)));
    await Promise.all(children.map((child) => child.go()));
    const opened = await bounded(
      "all are done",
      Promise.all(children.map((child) => child.result)),
    );
    assert.equal(opened, [paths, paths, paths, paths]);
  });

  test("neither a join secret nor a part of it is in the files", async () => {
    const path = newPath();
    const secret = newSecret();
    const hash = await hashSecret(secret);
    await using store = await SqliteStore.open(path);
    await store.createInvite(invite(hash, { uses: 2 }));
    await store.redeemInvite(await hashSecret(secret), NOW);
    const names = [...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))].map((file) =>
      file.name
    );
    assert.ok(names.includes("store.db-wal"));
    const decoder = new TextDecoder("latin1");
    const text = names.map((name) =>
      decoder.decode(Deno.readFileSync(path.replace("store.db", name)))
    ).join("\n");
    assert.ok(text.includes(hash), "the search finds what is there");
    for (let at = 0; at + 8 <= secret.length; at++) {
      assert.is(text.includes(secret.slice(at, at + 8)), false);
    }
  });

  test("readers need not wait for a writer: the file is in WAL mode", async () => {
    const path = newPath();
    await using _store = await SqliteStore.open(path);
    const database = new DatabaseSync(path);
    const mode = database.prepare("PRAGMA journal_mode").get();
    database.close();
    assert.is(mode?.journal_mode, "wal");
  });

  test("a failed change leaves nothing of itself and no lock", async () => {
    const path = newPath();
    await using one = await SqliteStore.open(path);
    await using two = await SqliteStore.open(path);
    await one.recordMember(member("c1"));
    await failure(() => one.recordMember(member("c1", { name: "other" })));
    await two.deviceSeen("x", seen(NOW));
    assert.equal((await one.devices({ limit: 9 })).map(({ name }) => name), ["pi-7", "x"]);
  });

  if (Deno.build.os !== "windows") {
    test("the file and its companions are the owner's alone, and become so", async () => {
      const path = newPath();
      const before = Deno.umask(0);
      try {
        await using store = await SqliteStore.open(path);
        await store.createInvite(invite("h"));
        for (const each of [path, `${path}-wal`, `${path}-shm`]) {
          assert.is((await Deno.stat(each)).mode! & 0o777, 0o600, each);
        }
        await Deno.chmod(path, 0o644);
        await using _again = await SqliteStore.open(path);
        assert.is((await Deno.stat(path)).mode! & 0o777, 0o600);
      } finally {
        Deno.umask(before);
      }
    });
  }

  test("a file that is no database is refused and stays as it is", async () => {
    const path = newPath();
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")));
    const text = "this is something else\n".repeat(100);
    Deno.writeTextFileSync(path, text);
    const error = await failure(() => SqliteStore.open(path));
    assert.is(error.code, "unavailable");
    assert.match(error.message, path);
    assert.is(Deno.readTextFileSync(path), text);
  });

  test("a file of a newer version is refused and stays as it is", async () => {
    const path = newPath();
    await (await SqliteStore.open(path)).close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 999");
    const error = await failure(() => SqliteStore.open(path));
    assert.match(error.message, "version 999");
    assert.is(database.prepare("PRAGMA user_version").get()?.user_version, 999);
    database.close();
  });

  test.run();
}

function existsNow(path: string): boolean {
  const [folder, name] = [parentOf(path), path.slice(path.lastIndexOf("/") + 1)];
  return [...Deno.readDirSync(folder)].some((file) => file.name === name);
}

async function refused(store: Store, hash: string, now: number, why: string): Promise<void> {
  const error = await failure(() => store.redeemInvite(hash, now));
  assert.is(error.code, "refused");
  assert.match(error.message, why);
  assert.match(error.message, "ask for a new join string");
}

/** A process that, told to go, redeems invitations or opens files, and says which it got. */
function start(task: "redeem" | "open", path: string, list: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.url, task, path, list.join(",")],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const ready = output.read().then(({ value }) => assert.is(value, "ready\n"));
  return {
    ready,
    async go() {
      const writer = child.stdin.getWriter();
      await writer.write(new Uint8Array(1));
      await writer.close();
    },
    result: ready.then(async (): Promise<string[]> => {
      let text = "";
      for (let part; !(part = await output.read()).done;) text += part.value;
      await child.status;
      return JSON.parse(text);
    }),
  };
}

/** The child's side: without a failure of its own, every item is done or refused as used up. */
async function serve(task: string, path: string, list: string[]): Promise<void> {
  const store = task === "redeem" ? await SqliteStore.open(path) : undefined;
  console.log("ready");
  await Deno.stdin.read(new Uint8Array(1));
  const done: string[] = [];
  for (const item of list) {
    try {
      if (store) await store.redeemInvite(item, NOW);
      else await (await SqliteStore.open(item)).close();
      done.push(item);
    } catch (error) {
      if (!(error instanceof TunnelError && error.code === "refused")) throw error;
    }
  }
  console.log(JSON.stringify(done));
  await store?.close();
}
