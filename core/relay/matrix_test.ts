/**
 * The whole matrix of who may dial: role, grant, allow list, expiry and revocation, for dials and
 * for channels that come back; by a relay and a device that both look, and with either of them made
 * to say yes to everything, so that the other stands alone.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cell, cells, type Outcome, outcomeOf, type Phase } from "../../tests/matrix.ts";

const test = suite("relay: the matrix of access");

for (const forced of [undefined, "relay", "device"] as const) {
  for (const phase of ["dial", "re-attach"] as const) {
    const who = forced ? `with a ${forced} that says yes to everything` : "with both that look";
    test(`every ${phase} ${who} ends as it should`, async () => {
      const wrong = [];
      for (const cell of cells()) {
        const wanted = expected(cell, phase, forced);
        const outcome = await outcomeOf(cell, phase, forced);
        if (outcome !== wanted) wrong.push({ ...cell, wanted, outcome });
      }
      assert.equal(wrong, []);
    });
  }
}

test("the matrix has both answers, and each side's refusal, wherever there can be one", () => {
  const outcomes = (forced?: "relay" | "device") =>
    [...new Set(cells().map((cell) => expected(cell, "dial", forced)))].sort();
  assert.equal(outcomes(), ["accepted", "device", "relay"]);
  assert.equal(outcomes("relay"), ["accepted", "device", "operator"]);
  assert.equal(outcomes("device"), ["accepted", "relay"]);
});

test.run();

/** Who refuses first: the relay knows grants and revocations, the device what it offers. */
function expected(cell: Cell, phase: Phase, forced?: "relay" | "device"): Outcome {
  const { role, grant, allow, expired, revoked } = cell;
  if (forced !== "relay") {
    if (expired !== "nobody" || revoked !== "nobody") return "relay";
    if (role !== "operator" || grant !== "covers it") return "relay";
  }
  // Nobody but the relay can know who was revoked; credentials tell themselves when they are over.
  // An operator that comes back has seen the device's while it was good.
  if (expired === "device" && phase === "dial") return "operator";
  if (forced !== "device") {
    if (role !== "operator" || expired === "dialler" || allow !== "has it") return "device";
  }
  return "accepted";
}
