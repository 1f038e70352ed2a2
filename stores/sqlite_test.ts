/** What the store in a file adds to the contract: what is in the file, and who may open it. */

import { DatabaseSync } from "node:sqlite";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hashSecret, newSecret } from "../core/identity/join.ts";
import { bounded } from "../tests/bounded.ts";
import { failure } from "../tests/failure.ts";
import {
  invite,
  join,
  member,
  newPath,
  NOW,
  redeem,
  refused,
  seen,
} from "../tests/store_fixture.ts";
import { withFileLock } from "./file_lock.ts";
import { parentOf } from "./files.ts";
import { SqliteStore } from "./sqlite.ts";

const test = suite("SqliteStore");

test("what one handle records, another reads, and so does the next start", async () => {
  const path = newPath();
  {
    await using one = await SqliteStore.open(path);
    await using two = await SqliteStore.open(path);
    await invite(one, "h");
    assert.is((await redeem(two, "h")).name, "pi-7");
    await refused(one, "h", NOW, "used up");
    await join(two, member("c1"));
  }
  await using again = await SqliteStore.open(path);
  assert.equal(await again.member("device", "pi-7"), member("c1"));
  await refused(again, "h", NOW, "used up");
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

test("neither a join secret nor a part of it is in the files", async () => {
  const path = newPath();
  const secret = newSecret();
  const hash = await hashSecret(secret);
  await using store = await SqliteStore.open(path);
  await invite(store, "", { secretHash: hash, uses: 2 });
  await store.redeemInvite(hash, NOW);
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
  await join(one, member("c1"));
  await failure(() => join(one, member("c1", { name: "other" })));
  await two.devicesSeen([["x", seen(NOW)]]);
  assert.equal((await one.devices({ limit: 9 })).map(({ name }) => name), ["pi-7", "x"]);
});

if (Deno.build.os !== "windows") {
  test("the file and its companions are the owner's alone, and become so", async () => {
    const path = newPath();
    const before = Deno.umask(0);
    try {
      await using store = await SqliteStore.open(path);
      await invite(store, "h");
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

function existsNow(path: string): boolean {
  const [folder, name] = [parentOf(path), path.slice(path.lastIndexOf("/") + 1)];
  return [...Deno.readDirSync(folder)].some((file) => file.name === name);
}
