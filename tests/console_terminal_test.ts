/** The console's terminal against a real OpenSSH server. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Page } from "playwright-core";
import { CHROMIUM } from "./chromium.ts";
import { type ConsoleGround, signIn, startConsole } from "./console_ground.ts";
import { until } from "./console_scripts.ts";
import { runToEnd, tempDir } from "./processes.ts";
import { startSshServer } from "./ssh_server.ts";
import { testWith } from "./require.ts";

const test = suite("console: terminal");
const PROGRAMS = [CHROMIUM, "sshd", "ssh-keygen"];

/** The text on the screen, for assistive technology and for this test. */
const SHELL = "bash --noprofile --norc -i";
/** The page gives the screen the focus by itself, whenever it is shown. */
const FOCUSED = `document.activeElement.classList.contains("xterm-helper-textarea")`;
const SCREEN = `document.querySelector(".xterm-rows").textContent.replaceAll("\\u00a0", " ")`;

testWith(
  test,
  PROGRAMS,
  "a login with a key: typing, pasting, UTF-8, resizing, the end",
  async () => {
    await using dir = await tempDir();
    await using sshd = await startSshServer(dir.path, { shell: SHELL });
    await using ground = await startConsole();
    const page = await terminal(ground, sshd.port);
    await logIn(page, sshd.user, await Deno.readTextFile(`${dir.path}/client`));
    const { stdout } = await runToEnd(["ssh-keygen", "-lf", `${dir.path}/host.pub`]);
    await page.getByText(`New host key, kept from now on: ssh-ed25519 ${stdout.split(" ")[1]}`)
      .waitFor();

    // The shell's prompt: what is typed while it starts may be thrown away by it.
    await until(page, `/[$#%>] *$/.test(${SCREEN}.trimEnd())`);
    await until(page, FOCUSED);
    await page.keyboard.type("echo he''llo\n");
    await until(page, `/hello/.test(${SCREEN})`);
    // All at once, and more than a line has room for.
    const pasted = `printf 'b\\303\\244r %s\\n' $((40 + 2)) # ${"x".repeat(300)}\r`;
    await page.evaluate(`(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", ${JSON.stringify(pasted)});
    const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    document.querySelector(".xterm-helper-textarea").dispatchEvent(event);
  })()`);
    await page.keyboard.press("Enter");
    await until(page, `/bär 42/.test(${SCREEN})`);
    await page.keyboard.type("printf '\\033[38;2;255;0;0mred\\033[0m\\n'\n");
    const colours = `[...document.querySelectorAll(".xterm-rows span")]
    .some((span) => span.textContent === "red" && span.style.color === "rgb(255, 0, 0)")`;
    await until(page, colours);

    await page.keyboard.type("clear; stty size\n");
    await until(page, `/^\\s*\\d+ \\d+/m.test(${SCREEN})`);
    const [, before] = /(\d+ \d+)/.exec(await page.evaluate(SCREEN))!;
    await page.setViewportSize({ width: 700, height: 500 });
    await page.keyboard.type(
      'clear; until [ "$(stty size)" != "' + before + "\" ]; do :; done; echo it is smaller''!\n",
    );
    await until(page, `/smaller!/.test(${SCREEN})`);

    // It is a channel of this tab, and goes on while another view is looked at.
    await page.getByRole("link", { name: "Channels" }).click();
    await page.getByRole("row").filter({ hasText: "terminal" }).waitFor();
    await page.goBack();
    await until(page, FOCUSED);
    await page.keyboard.type("exit 3\n");
    await page.getByText("The login has ended with status 3.").waitFor();
    await until(page, `document.querySelector(".count")`, null);
    assert.equal(ground.complaints, []);
  },
);

testWith(
  test,
  PROGRAMS,
  "a host key that has changed is refused, until it is forgotten",
  async () => {
    await using dir = await tempDir();
    await using sshd = await startSshServer(dir.path, { shell: SHELL });
    await using ground = await startConsole();
    const page = await terminal(ground, sshd.port);
    const key = await Deno.readTextFile(`${dir.path}/client`);
    // As it is when the server had another key before.
    await page.evaluate(`(async () => {
    const opening = indexedDB.open("tunnel-host-keys");
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    await new Promise((resolve) => opening.onsuccess = resolve);
    const writing = opening.result.transaction("keys", "readwrite");
    writing.objectStore("keys").put(
      { fingerprint: "SHA256:before", algorithm: "ssh-ed25519", since: 1 }, "x:${sshd.port}");
    await new Promise((resolve) => writing.oncomplete = resolve);
    opening.result.close();
  })()`);
    await logIn(page, sshd.user, key);
    await page.getByRole("alert").getByText(
      /its host key is SHA256:.{43} now and was SHA256:before/,
    )
      .waitFor();
    await page.getByRole("button", { name: "Forget the old key" }).click();
    await logIn(page, sshd.user, key);
    await page.locator(".xterm-helper-textarea").waitFor();
  },
);

testWith(
  test,
  PROGRAMS,
  "an end of the channel ends the login; who has no key is asked, and turned away",
  async () => {
    await using dir = await tempDir();
    await using sshd = await startSshServer(dir.path, { shell: SHELL });
    await using ground = await startConsole();
    const page = await terminal(ground, sshd.port);
    await logIn(page, sshd.user);
    for (let i = 0; i < 3; i++) {
      await page.getByLabel(`Password of ${sshd.user}`).fill(`wrong ${i}`);
      await page.getByRole("button", { name: "Continue" }).click();
    }
    await page.getByRole("alert").getByText("the server took no answer").waitFor();

    await logIn(page, sshd.user, "no key");
    await page.getByRole("alert").getByText("it is in no form that this console reads").waitFor();
    await logIn(page, sshd.user, await Deno.readTextFile(`${dir.path}/client`));
    await page.locator(".xterm-helper-textarea").waitFor();
    await page.getByRole("link", { name: "Channels" }).click();
    await page.getByRole("button", { name: `End the channel to x ${sshd.port}` }).click();
    await page.getByText("None is open.").waitFor();
    await page.goBack();
    await page.getByRole("alert").waitFor();
  },
);

test.run();

async function terminal(ground: ConsoleGround, port: number): Promise<Page> {
  await ground.device("x", "--allow", String(port));
  const page = await ground.tab({ viewport: { width: 1_100, height: 700 } });
  await signIn(page, ground.url, await ground.invite("operator", "anna", "--grant", "*:*"));
  await page.goto(`${ground.url}/#/terminal/x/${port}`);
  return page;
}

async function logIn(page: Page, user: string, key?: string): Promise<void> {
  await page.getByLabel("Log in as").fill(user);
  if (key !== undefined) {
    const field = page.getByLabel(/^Ed25519 without a passphrase/);
    if (!await field.isVisible()) await page.getByText("Private key instead").click();
    await field.fill(key);
  }
  await page.getByRole("button", { name: "Log in" }).click();
}
