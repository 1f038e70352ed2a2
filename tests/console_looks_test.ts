/**
 * The console at the sizes and in the themes that people have. With TUNNEL_SCREENSHOTS=1 the pictures
 * in docs/images are made anew.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Page } from "playwright-core";
import { CHROMIUM } from "./chromium.ts";
import { type ConsoleGround, signIn, startConsole, type TabOptions } from "./console_ground.ts";
import { OVERFLOW, until } from "./console_scripts.ts";
import { echoServer } from "./echo.ts";
import { testWith } from "./require.ts";

const test = suite("console: looks");
const IDS = ["gate-north", "line3-plc", "line3-scale", "pump-1", "pump-2", "roof-camera"];

const LOOKS: Record<string, TabOptions> = {
  "desktop, light": { viewport: { width: 1_100, height: 680 }, colorScheme: "light" },
  "phone, dark": {
    viewport: { width: 390, height: 760 },
    colorScheme: "dark",
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
  },
};

/** Words need 4.5 to 1 against what is behind them (WCAG 2.2, 1.4.3). */
const LOW_CONTRAST = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color.slice(0, 3);
    }
    return rgba("Canvas").slice(0, 3);
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    if (words.length === 0 || !element.checkVisibility() || element.closest(".unseen, .xterm, option")) continue;
    const [one, other] = [rgba(getComputedStyle(element).color).slice(0, 3), behind(element)].map(luminance);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) low.push(element.textContent.slice(0, 20) + " " + ratio.toFixed(1));
  }
  return low;
})()`;

for (const [name, options] of Object.entries(LOOKS)) {
  testWith(
    test,
    [CHROMIUM],
    `${name}: nothing is beside the screen, and words can be read`,
    async () => {
      await using ground = await startConsole();
      await using local = echoServer();
      for (const id of IDS) await ground.device(id, "--allow", local.port, "--allow", "bench");
      await ground.invite("device", "old-sensor");
      const grants = ["--grant", "*:*", "--grant", "line3-*:22,443"];
      const join = await ground.invite("operator", "anna", "--admin", ...grants);
      const page = await ground.tab(options);
      await page.goto(ground.url);
      await page.getByLabel("Join string or link").waitFor();
      await looked(page, "sign in");
      await signIn(page, ground.url, join);
      await page.getByText(`${IDS.length} of ${IDS.length} online`).waitFor();
      await page.goto(`${ground.url}/#/`);
      await until(page, `document.querySelectorAll(".row").length`, IDS.length);
      if (Deno.env.get("TUNNEL_SCREENSHOTS") === "1") await picture(ground, page, name);
      await looked(page, "devices");
      for (const view of ["device/pump-1", "channels", "access", "audit", "terminal/pump-1/22"]) {
        await page.goto(`${ground.url}/#/${view}`);
        await page.locator("main h1").locator("visible=true").waitFor();
        if (view === "access") await page.getByRole("row").filter({ hasText: "line3-" }).waitFor();
        if (view === "audit") await page.locator("tbody tr").first().waitFor();
        await looked(page, view);
      }
      assert.equal(ground.complaints, []);
    },
  );
}

test.run();

async function looked(page: Page, view: string): Promise<void> {
  assert.is(await page.evaluate(OVERFLOW), 0, `${view} is wider than the screen`);
  assert.equal(await page.evaluate(LOW_CONTRAST), [], view);
}

/** With something on the chart. */
async function picture(ground: ConsoleGround, page: Page, name: string): Promise<void> {
  const join = await ground.invite("operator", "bert", "--grant", "*:*");
  const moving = ground.run("bench", "pump-1", "--seconds", "3", "--join", join);
  await until(page, `document.querySelectorAll(".row .now:not(:empty)").length > 0`);
  await page.evaluate("new Promise((resolve) => setTimeout(resolve, 12_000))");
  const file = `console-${name.replace(", ", "-")}.png`;
  await page.screenshot({ path: new URL(`../docs/images/${file}`, import.meta.url).pathname });
  await moving;
}
