import { suite } from "uvu";
import * as assert from "uvu/assert";
import { failure } from "../../tests/failure.ts";
import { text } from "../../tests/text.ts";
import {
  auditBytes,
  type AuditEvent,
  type AuditRow,
  cleanEvent,
  GENESIS,
  MAX_AUDIT_TEXT,
  selects,
} from "./audit.ts";

const event: AuditEvent = {
  ...{ at: 1, type: "dial", by: "operator:o", from: "192.0.2.1", device: "x", operator: "o" },
  ...{ target: "22", why: "w", reason: "r", sent: 2, received: 3, took: 4, detail: "d" },
};

const test = suite("audit events");

test("what is hashed: the hash before, then number and members in their order", () => {
  const before = { seq: 6, hash: `${"A".repeat(41)}AE` };
  const bytes = auditBytes(before, event);
  assert.is(bytes[31], 1);
  assert.is(
    text(bytes.subarray(32)),
    '[7,1,"dial","operator:o","192.0.2.1","x","o","22","w","r",2,3,4,"d"]',
  );
  assert.is(
    text(auditBytes(GENESIS, { at: 5, type: "sign-in" }).subarray(32)),
    '[1,5,"sign-in",null,null,null,null,null,null,null,null,null,null,null]',
  );
});

test("every member counts, and none for another", () => {
  const hashed = new Set([text(auditBytes(GENESIS, event))]);
  const names = Object.keys(event) as (keyof AuditEvent)[];
  for (const name of names) {
    hashed.add(text(auditBytes(GENESIS, { ...event, [name]: undefined })));
    const other = typeof event[name] === "number" ? 99 : "other";
    hashed.add(text(auditBytes(GENESIS, { ...event, [name]: other })));
  }
  assert.is(hashed.size, 1 + 2 * names.length);
});

test("an event that is clean is kept as it is, without what is absent", () => {
  assert.equal(cleanEvent(event), event);
  assert.equal(cleanEvent({ at: 1, type: "dial", device: undefined, why: "" }), {
    ...{ at: 1, type: "dial", why: "" },
  });
});

test("what an event does not know is not kept", () => {
  const more = { at: 1, type: "dial", secret: "s", seq: 9, hash: "h" } as AuditEvent;
  assert.equal(cleanEvent(more), { at: 1, type: "dial" });
});

const texts: [what: string, told: string, kept: string][] = [
  ["half a character", "a\ud800b", "a\ufffdb"],
  ["a zero byte", "a\0b", "a?b"],
  ["a second line and a terminal's escape", "a\r\n\x1b[2Jb\x9b", "a???[2Jb?"],
  ["a text beyond the limit", "x".repeat(MAX_AUDIT_TEXT + 1), "x".repeat(MAX_AUDIT_TEXT)],
  [
    "a character that the limit cuts",
    `${"x".repeat(MAX_AUDIT_TEXT - 1)}😀`,
    `${"x".repeat(MAX_AUDIT_TEXT - 1)}\ufffd`,
  ],
];
for (const [what, told, kept] of texts) {
  test(`${what} is made fit to keep`, () => {
    assert.is(cleanEvent({ at: 1, type: "dial", reason: told }).reason, kept);
  });
}

for (const value of [0.5, -1, NaN, Infinity, 2 ** 53]) {
  test(`a number that is ${value} is refused`, async () => {
    for (const field of ["at", "sent", "received", "took"]) {
      const error = await failure(() => cleanEvent({ at: 1, type: "dial", [field]: value }));
      assert.is(error.code, "usage");
      assert.match(error.message, `${field} must be a whole number`);
    }
  });
}

test("a row is selected by number, time, and whom it is about or by", () => {
  const row: AuditRow = {
    seq: 5,
    hash: "",
    at: 50,
    type: "grant",
    by: "operator:a",
    operator: "b",
  };
  const cases: [query: Parameters<typeof selects>[0], selected: boolean][] = [
    [{}, true],
    [{ after: 4 }, true],
    [{ after: 5 }, false],
    [{ since: 50 }, true],
    [{ since: 51 }, false],
    [{ operator: "a" }, true],
    [{ operator: "b" }, true],
    [{ operator: "c" }, false],
    [{ device: "a" }, false],
    [{ operator: "a", device: "b" }, false],
  ];
  for (const [query, selected] of cases) {
    assert.is(selects(query, row), selected, Deno.inspect(query));
  }
  const device: AuditRow = { seq: 1, hash: "", at: 1, type: "approval", by: "device:x" };
  assert.is(selects({ device: "x" }, device), true);
});

test.run();
