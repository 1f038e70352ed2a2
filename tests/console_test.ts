/** The console in a real browser: signing in and out, the list of devices, channels, losses. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Page } from "playwright-core";
import { bounded } from "./bounded.ts";
import { CHROMIUM } from "./chromium.ts";
import { signIn, startConsole } from "./console_ground.ts";
import { FOCUSED, KEPT_KEYS, KEYS, ROW_NAMES, until } from "./console_scripts.ts";
import { echoServer } from "./echo.ts";
import { testWith } from "./require.ts";

const test = suite("console");

testWith(
  test,
  [CHROMIUM],
  "an operator signs in by a link, finds devices, and signs out",
  async () => {
    await using ground = await startConsole();
    for (const id of ["pump-1", "pump-2", "gate"]) await ground.device(id);
    const join = await ground.invite("operator", "anna", "--grant", "*:22");
    const page = await ground.tab();
    await signIn(page, ground.url, join);
    // What brought the operator in is not in the address, nor in the history behind it.
    assert.is(page.url(), `${ground.url}/`);
    await rows(page, ["gate", "pump-1", "pump-2"]);
    await page.getByText("3 of 3 online").waitFor();
    assert.match(await page.locator(".standing").innerText(), /^webtransport$/);
    await page.getByLabel("Search devices").fill("pump");
    await rows(page, ["pump-1", "pump-2"]);
    assert.is(await page.locator("[aria-live=polite]").innerText(), "2 devices");
    await page.getByLabel("Search devices").fill("");
    // Who is no admin has no views of one.
    assert.equal(await page.getByRole("navigation").getByRole("link").allInnerTexts(), [
      "Devices",
      "Channels",
    ]);

    const kept = await page.evaluate(KEPT_KEYS);
    assert.equal(kept, { identities: 1, extractable: [false, false], exported: ["no", "no"] });
    await page.reload();
    await rows(page, ["gate", "pump-1", "pump-2"]);
    const other = await ground.tab({ beside: page });
    await other.goto(ground.url);
    await rows(other, ["gate", "pump-1", "pump-2"]);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Join string or link").waitFor();
    await other.getByLabel("Join string or link").waitFor();
    await until(page, `(await ${KEPT_KEYS}).identities`, 0);
    // A join string is good once.
    await page.getByLabel("Join string or link").fill(`${ground.url}/#${join}`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText(/join/).waitFor();
    await page.getByLabel("Join string or link").fill("tj1.nonsense");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This is no join string").waitFor();
    assert.equal(ground.complaints, []);
  },
);

testWith(test, [CHROMIUM], "what devices do is shown as it happens", async () => {
  await using ground = await startConsole();
  await using local = echoServer();
  const x = await ground.device("x", "--allow", local.port);
  const page = await ground.tab();
  await signIn(page, ground.url, await ground.invite("operator", "anna", "--grant", "*:*"));
  const row = page.getByRole("listitem").filter({ hasText: /^x/ });
  await row.getByText("quic").waitFor();
  await page.goto(`${ground.url}/#/device/x`);
  await page.getByText("Round trip to the relay").waitFor();
  await ground.device("y");
  await page.goto(`${ground.url}/#/`);
  await rows(page, ["x", "y"]);
  x.kill();
  await row.getByText("offline", { exact: true }).waitFor();
  // Who is here comes first.
  await rows(page, ["y", "x"]);
});

testWith(
  test,
  [CHROMIUM],
  "a page outlives its relay, and falls to WebSocket where UDP is blocked",
  async () => {
    await using ground = await startConsole();
    await ground.device("x");
    const page = await ground.tab();
    await signIn(page, ground.url, await ground.invite("operator", "anna", "--grant", "*:*"));
    await rows(page, ["x"]);
    await ground.stopRelay();
    await page.locator(".standing", { hasText: "reconnecting" }).waitFor();
    await ground.startRelayWithoutUdp();
    await page.locator(".standing", { hasText: "websocket" }).waitFor({ timeout: 60_000 });
    await ground.device("later");
    await page.getByRole("listitem").filter({ hasText: "later" }).waitFor();
  },
);

testWith(test, [CHROMIUM], "markup in a name or a reason is text", async () => {
  await using ground = await startConsole();
  await using local = echoServer();
  await ground.device("x", "--allow", local.port);
  const page = await ground.tab();
  await signIn(
    page,
    ground.url,
    await ground.invite("operator", "anna", "--admin", "--grant", "*:*"),
  );
  const markup = `<img src=x onerror="document.title='owned'"><b>bold</b>`;
  // A reason is what an operator says; it is in the audit trail.
  const join = await ground.invite("operator", "bert", "--grant", "*:*");
  await ground.run("connect", "x", local.port, "--stdio", "--join", join, "--reason", markup);
  await page.goto(`${ground.url}/#/audit`);
  const recorded = (async () => {
    // Rows are written a moment after what they tell of.
    while (await page.getByText(markup).count() === 0) {
      await page.getByRole("button", { name: "Refresh" }).click();
    }
  })();
  await bounded("the reason in the trail", recorded);
  // An address that names markup shows none either.
  await page.goto(`${ground.url}/#/device/${encodeURIComponent(markup)}`);
  await page.getByLabel("Search devices").fill(markup);
  await page.getByText("No device matches the search.").waitFor();
  assert.is(await page.locator("main img, main b").count(), 0);
  assert.is(await page.title(), "tunnel");
  assert.equal(ground.complaints, []);
});

testWith(
  test,
  [CHROMIUM],
  "by keyboard alone: to a device, its terminal's form, and back",
  async () => {
    await using ground = await startConsole();
    for (const id of ["a", "b", "c"]) await ground.device(id);
    const page = await ground.tab();
    await signIn(page, ground.url, await ground.invite("operator", "anna", "--grant", "*:*"));
    await rows(page, ["a", "b", "c"]);
    const focused = () => page.evaluate<string>(FOCUSED);
    const tab = async () => (await page.keyboard.press("Tab"), await focused());
    assert.is(await tab(), "Skip to content");
    const order = [await tab(), await tab(), await tab(), await tab()];
    assert.equal(order, ["tunnel", "Devices", "Channels", "Sign out"]);
    await tab(); // The search.
    await tab();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    assert.match(await focused(), /^c/);
    assert.equal(await page.evaluate<string[]>(KEYS), ["b", "c"]);
    const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    assert.is(outline, "solid");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "c" }).waitFor();
    await until(page, "document.activeElement.id", "content");
    await page.getByLabel("Port, or HOST:PORT beside the device").first().focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("Log in as").waitFor();
  },
);

test.run();

/** Waits until the list shows these, in that order. */
async function rows(page: Page, ids: string[]): Promise<void> {
  await until(page, ROW_NAMES, ids.join());
}
