/** Pages of devices in the console: what works of them, and what a hostile one cannot do. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Frame, Page } from "playwright-core";
import { bounded } from "./bounded.ts";
import { CHROMIUM } from "./chromium.ts";
import { type ConsoleGround, signIn, startConsole } from "./console_ground.ts";
import { LOOK, until } from "./console_scripts.ts";
import { deviceSite, HOSTILE, PAGE } from "./console_site.ts";
import { testWith } from "./require.ts";

const test = suite("console: pages of devices");

testWith(
  test,
  [CHROMIUM],
  "a device's page has its styles, scripts, pictures and requests",
  async () => {
    await using site = deviceSite(PAGE);
    await using ground = await startConsole();
    const { tab, frame } = await openPage(ground, site.port);
    await frame.getByText("script has run").waitFor();
    await frame.getByText("fetch got /api/state 1").waitFor();
    await frame.getByText("xhr got /api/more 200").waitFor();
    assert.equal(await frame.evaluate(LOOK), {
      color: "rgb(1, 2, 3)",
      background: 'url("blob',
      pictures: [1, 1],
    });
    await until(tab, "document.title", "x: Router");
    assert.is(await tab.locator(".where").innerText(), `x localhost:${site.port}/`);
  },
);

testWith(test, [CHROMIUM], "links, a form, a redirect and a cookie go to the device", async () => {
  await using site = deviceSite(PAGE);
  await using ground = await startConsole();
  const { tab } = await openPage(ground, site.port);
  const shown = (text: string) => tab.frameLocator("iframe").getByText(text).waitFor();
  await tab.frameLocator("iframe").getByRole("link", { name: "Log in" }).click();
  await tab.frameLocator("iframe").getByLabel("Password").fill("a&b=ö");
  await tab.frameLocator("iframe").getByRole("button", { name: "Enter" }).click();
  await shown("home of a&b=ö");
  await shown("scripts see theme=dark");
  assert.match(await tab.locator(".where").innerText(), /\/home$/);
  // A script that assigns `location`, by a path from the root.
  await tab.frameLocator("iframe").getByRole("button", { name: "By script" }).click();
  await shown("you are at /deep/page?q=1");
  await tab.frameLocator("iframe").getByRole("link", { name: "Next to it" }).click();
  await shown("you are at /deep/other");
  await tab.getByRole("button", { name: "Back" }).click();
  await shown("you are at /deep/page?q=1");
  await tab.frameLocator("iframe").getByRole("link", { name: "Elsewhere" }).click();
  await tab.getByText("it leads to https://elsewhere.invalid").waitFor();
  assert.ok(site.requests.every(({ host }) => host === `localhost:${site.port}`));
});

testWith(
  test,
  [CHROMIUM],
  "a hostile page reaches neither keys, nor tunnel, nor network, nor tab",
  async () => {
    await using site = deviceSite(HOSTILE);
    await using outside = deviceSite(PAGE);
    await using ground = await startConsole();
    const { tab, frame } = await openPage(ground, site.port, `?${ground.port}&${outside.port}`);
    const found = JSON.parse(await frame.locator("#found").innerText());
    assert.equal(found, {
      origin: "null",
      keys: "refused",
      cookies: "its own",
      parentDocument: "refused",
      parentMoved: "refused",
      opened: "asked",
      relay: "refused",
      outside: "refused",
      picture: "refused",
      otherHost: "refused",
      serviceWorker: "refused",
      socket: "refused",
      webtransport: "refused",
      forgedMessage: "asked",
      channel: "asked",
    });
    assert.equal(outside.requests, []);
    // Its title is text; the tab is where it was, and there is no other.
    const title = "x: <img src=x onerror='owned = 1'>";
    await until(tab, "document.title", title);
    assert.is(await tab.evaluate(`"owned" in globalThis`), false);
    assert.match(tab.url(), /\/view#x\/\d+$/);
    assert.is(tab.context().pages().length, 2);
    // It has sent its words to no tab of the operator's.
    assert.is(await tab.locator("iframe").count(), 1);
  },
);

test.run();

/** Opens it as an operator does: from the device's view, in a new tab. */
async function openPage(
  ground: ConsoleGround,
  port: number,
  path = "",
): Promise<{ tab: Page; frame: Frame }> {
  await ground.device("x", "--allow", String(port));
  const console = await ground.tab();
  await signIn(console, ground.url, await ground.invite("operator", "anna", "--grant", "*:*"));
  await console.goto(`${ground.url}/#/device/x`);
  await console.getByLabel("Port, or HOST:PORT beside the device").nth(1).fill(String(port));
  const opening = console.context().waitForEvent("page");
  await console.getByRole("button", { name: "Open page" }).click();
  const tab = await bounded("the tab", opening);
  const element = await tab.locator("iframe").elementHandle();
  const frame = (await element!.contentFrame())!;
  if (path) {
    await frame.getByRole("link", { name: "Begin" }).waitFor();
    const link = `document.querySelector("a")`;
    await frame.evaluate(`${link}.href = "/begin${path}", ${link}.click()`);
    await tab.frameLocator("iframe").locator("#found").waitFor();
    const next = await tab.locator("iframe").elementHandle();
    return { tab, frame: (await next!.contentFrame())! };
  }
  return { tab, frame };
}
