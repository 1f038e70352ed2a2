/** The console of an admin: invitations, grants, operators, the audit trail. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CHROMIUM } from "./chromium.ts";
import { signIn, startConsole } from "./console_ground.ts";
import { until } from "./console_scripts.ts";
import { echoServer } from "./echo.ts";
import { testWith } from "./require.ts";

const test = suite("console: administration");

testWith(
  test,
  [CHROMIUM],
  "an invitation is shown once, with a code, and lets its operator in",
  async () => {
    await using ground = await startConsole();
    await ground.device("x");
    const page = await ground.tab();
    await signIn(page, ground.url, await ground.invite("operator", "anna", "--admin"));
    await page.getByRole("link", { name: "Access" }).click();
    await page.getByLabel("Name").fill("bert");
    await page.getByLabel("May reach").first().fill("x:22");
    await page.getByRole("button", { name: "Invite" }).click();
    const dialog = page.getByRole("dialog", { name: "Invitation of operator bert" });
    await dialog.getByRole("img", { name: "QR code of the invitation" }).waitFor();
    const link = await dialog.getByLabel("Link").inputValue();
    await dialog.getByRole("button", { name: "Done" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.not.match(await page.content(), /tj1\./);

    const other = await ground.tab();
    await signIn(other, ground.url, link.split("#")[1]!);
    await other.getByText("1 of 1 online").waitFor();
    assert.is(await other.locator(".operator").innerText(), "bert");
    // And a device's, by its string.
    await page.getByLabel("Whom").selectOption("device");
    await page.getByLabel("ID").fill("y");
    await page.getByRole("button", { name: "Invite" }).click();
    assert.match(await page.getByLabel("Join string").inputValue(), /^tj1\./);
    assert.equal(ground.complaints, []);
  },
);

testWith(test, [CHROMIUM], "grants are given and taken, and operators revoked", async () => {
  await using ground = await startConsole();
  await ground.device("x");
  const page = await ground.tab();
  page.on("dialog", (dialog) => dialog.accept());
  await signIn(page, ground.url, await ground.invite("operator", "anna", "--admin"));
  const bert = await ground.tab();
  await signIn(bert, ground.url, await ground.invite("operator", "bert"));
  await bert.getByText("No devices yet.").waitFor();

  await page.getByRole("link", { name: "Access" }).click();
  await page.getByLabel("Operator", { exact: true }).fill("bert");
  await page.getByLabel("May reach").nth(1).fill("x:22,80");
  await page.getByLabel("For", { exact: true }).fill("8h");
  await page.getByRole("button", { name: "Grant" }).click();
  await page.getByRole("row").filter({ hasText: "x:22,80" }).waitFor();
  await bert.getByText("1 of 1 online").waitFor();
  await page.getByLabel("May reach").nth(1).fill("x:no-port");
  await page.getByRole("button", { name: "Grant" }).click();
  await page.getByRole("alert").waitFor();

  await page.getByRole("button", { name: "Revoke x:22,80 of bert" }).click();
  await page.getByText("Nobody may reach anything.").waitFor();
  await bert.getByText("No devices yet.").waitFor();
  await page.getByRole("button", { name: "Revoke operator bert" }).click();
  await page.getByRole("row").filter({ hasText: /^bert.*revoked/ }).waitFor();
  await bert.getByRole("alert").waitFor();
  assert.is(await bert.locator(".standing").innerText(), "ended");
});

testWith(test, [CHROMIUM], "the audit trail is filtered, paged and verified", async () => {
  await using ground = await startConsole();
  await using local = echoServer();
  await ground.device("x", "--allow", local.port);
  await ground.device("y");
  const page = await ground.tab();
  const join = await ground.invite("operator", "anna", "--admin", "--grant", "*:*");
  await signIn(page, ground.url, join);
  // Rows for more than one page.
  const scopes = Array.from({ length: 110 }, (_, i) => `d${i}:22`);
  await ground.run("grant", "bert", ...scopes);
  await page.getByRole("link", { name: "Audit" }).click();
  const numbers = async () =>
    (await page.locator("tbody td:first-child").allInnerTexts()).map(Number);
  await until(page, `document.querySelectorAll("tbody tr").length`, 100);
  const newest = await numbers();
  assert.equal(newest, newest.map((_, i) => newest[0]! - i));
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByRole("cell", { name: "1", exact: true }).waitFor();
  assert.is((await numbers())[0], newest[0]! - 100);
  await page.getByLabel("Device", { exact: true }).fill("y");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  const others = `[...document.querySelectorAll("tbody tr")]
    .filter((row) => !/device[: ]y/.test(row.textContent)).length`;
  await until(page, others, 0);
  await page.getByRole("button", { name: "Verify the chain" }).click();
  await page.getByText(/^\d+ rows are whole; the head is \d+:[\w-]{43}$/).waitFor();
  assert.equal(ground.complaints, []);
});

test.run();
