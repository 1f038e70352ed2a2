/** A process that changes the store, killed at any moment: what it had acknowledged is there. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EVERYTHING } from "../core/policy/grant.ts";
import type { AuditEvent } from "../core/policy/audit.ts";
import type { Change } from "../core/policy/change.ts";
import { MAX_PAGE, type Store } from "../core/store.ts";
import { bounded } from "../tests/bounded.ts";
import { newSeed, Random } from "../tests/random.ts";
import { author, HOUR, invitation, newPath, NOW } from "../tests/store_fixture.ts";
import { MemoryStore } from "./memory.ts";
import { SqliteStore } from "./sqlite.ts";

/** Administrative changes, all told. */
const CHANGES = 1_000;
/** Changes that one process makes at most. */
const MOST = 40;
/** Changes that one operator goes through. */
const STEPS = 5;

// The test starts itself as the process that is killed.
const [path, first, most] = Deno.args;
if (path) await serve(path, Number(first), Number(most));
else runTest();

function runTest(): void {
  const test = suite("SqliteStore: killed at any moment");

  test(`${CHANGES} changes by processes that are killed: none acknowledged is lost, none half made`, async () => {
    const random = new Random(newSeed());
    const path = newPath();
    await using model = new MemoryStore();
    let made = 0;
    let kills = 0;
    while (made < CHANGES) {
      const acknowledged = made + await bounded("a life", live(path, made, random));
      if (acknowledged < CHANGES) kills++;
      await using store = await SqliteStore.open(path);
      assert.is((await store.checkAudit()).broken, undefined);
      for (; made < acknowledged; made++) await model.apply(await change(made, model), author());
      const found = await contents(store);
      // The change that was under way is there as a whole, or not at all.
      if (made < CHANGES && found.rows.length > (await contents(model)).rows.length) {
        await model.apply(await change(made, model), author());
        made++;
      }
      assert.equal(found, await contents(model), `after ${made} changes and ${kills} kills`);
    }
    assert.ok(kills >= CHANGES / MOST, `${kills} kills`);
  });

  test.run();
}

/** One process that makes changes from `next` on, and is killed; says how many it acknowledged. */
async function live(path: string, next: number, random: Random): Promise<number> {
  const count = random.below(MOST);
  const child = new Deno.Command(Deno.execPath(), {
    // One more than are awaited: it is killed at that one, or on its way to it.
    args: ["run", "-A", "--no-check", import.meta.url, path, String(next), String(count + 1)],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  let acknowledged = -1; // The first line says that it is about to open the store.
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    // What it writes before it dies is read all the same, and was acknowledged.
    for (const line of lines) assert.is(Number(line), next + acknowledged++);
    if (acknowledged >= count) kill(child, random.below(acknowledged === 0 ? 30_000 : 500));
  }
  const { success, signal } = await child.status;
  await child.stdin.abort().catch(() => {}); // Nobody is left to read it.
  assert.ok(
    signal === "SIGKILL" || success && next + acknowledged === CHANGES,
    "it failed by itself",
  );
  return acknowledged;
}

/** The moment varies on purpose; what holds then must hold at each. */
function kill(child: Deno.ChildProcess, microseconds: number): void {
  const end = performance.now() + microseconds / 1_000;
  while (performance.now() < end);
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already, with nothing more to do.
  }
}

/** The child's side. */
async function serve(path: string, first: number, most: number): Promise<void> {
  const say = (line: number) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  say(first - 1);
  await using store = await SqliteStore.open(path);
  for (let number = first; number < Math.min(first + most, CHANGES); number++) {
    await store.apply(await change(number, store), author());
    say(number);
  }
  // It waits to be killed, or for its parent's end.
  if (first + most < CHANGES) await Deno.stdin.read(new Uint8Array(1));
}

/** The change of that number: operators come, are given things and go, one after another. */
async function change(number: number, store: Store): Promise<Change> {
  const operator = `op-${Math.floor(number / STEPS)}`;
  switch (number % STEPS) {
    case 0:
      return invitation(operator, {
        ...{ role: "operator", name: operator, rights: { admin: true } },
        grants: [{ scope: "x:22" }, { scope: EVERYTHING }, { scope: "y:80", until: NOW + HOUR }],
      });
    case 1:
      return { type: "grant", operator, scope: "x:22", until: NOW + HOUR };
    case 2:
      return { type: "rights", operator, rights: { approver: true } };
    case 3: {
      const { grants } = await store.policy();
      const { id } = grants.find((each) => each.operator === operator && each.scope === "x:22")!;
      return { type: "revoke-grant", id };
    }
    default:
      // Every third stays, so that the store grows.
      return number % 3 === 0
        ? { type: "grant", operator, scope: "z:443" }
        : { type: "revoke-member", role: "operator", name: operator };
  }
}

/** All that changes made, but for IDs, which are random, and what follows from those. */
async function contents(store: Store) {
  const { grants, standings } = await store.policy();
  const rows: Omit<AuditEvent, "hash">[] = [];
  for (let after = 0;;) {
    const page = await store.audit({ after, limit: MAX_PAGE });
    if (page.length === 0) break;
    after = page.at(-1)!.seq;
    for (const { hash: _, detail, ...row } of page) {
      rows.push({ ...row, detail: detail?.replace(/^[a-z2-7]{8} /, "") });
    }
  }
  return { grants: grants.map(({ id: _, ...grant }) => grant), standings, rows };
}
