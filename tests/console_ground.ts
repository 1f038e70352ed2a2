/** A relay with its console, and a browser that looks at it. */

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { bounded } from "./bounded.ts";
import { ARGUMENTS, CHROMIUM } from "./chromium.ts";
import { find } from "./require.ts";
import { type Running, tempDir, tunnel } from "./processes.ts";
import { freePort } from "./ssh_server.ts";

export interface ConsoleGround extends AsyncDisposable {
  /** `https://127.0.0.1:PORT`, where the console is. */
  readonly url: string;
  readonly port: number;
  readonly home: string;
  readonly browser: Browser;
  /** A tab of a browser that has never been here. What it says amiss is in `complaints`. */
  tab(options?: TabOptions): Promise<Page>;
  /** What pages have said amiss: errors, and what their policy has forbidden. */
  readonly complaints: string[];
  device(id: string, ...options: string[]): Promise<Running>;
  invite(role: string, name: string, ...options: string[]): Promise<string>;
  /** A command on the relay's home: what it prints. */
  run(...args: string[]): Promise<string>;
  stopRelay(): Promise<void>;
  /** Starts it again, with nothing of UDP at its port: what comes there by TCP gets to it. */
  startRelayWithoutUdp(): Promise<void>;
}

export type TabOptions = NonNullable<Parameters<Browser["newContext"]>[0]> & {
  /** Another tab of the same browser. */
  readonly beside?: Page;
};

export async function startConsole(...options: string[]): Promise<ConsoleGround> {
  const stack = new AsyncDisposableStack();
  try {
    const { path: home } = stack.use(await tempDir());
    const env = { TUNNEL_HOME: home };
    let relay = tunnel(["relay", "--listen", "127.0.0.1:0", ...options], { env });
    stack.defer(() => relay[Symbol.asyncDispose]());
    const port = Number(await relay.line(/^relay ready tunnel:\/\/127\.0\.0\.1:(\d+)/m));
    const browser = await chromium.launch({
      executablePath: find(CHROMIUM),
      headless: true,
      // The relay has a development certificate, which this browser does not know.
      args: [...ARGUMENTS, "--ignore-certificate-errors"],
    });
    stack.defer(() => browser.close());
    const complaints: string[] = [];
    const contexts = new WeakMap<Page, BrowserContext>();
    const run = async (...args: string[]) => {
      await using running = tunnel(args, { env });
      const { code, stdout, stderr } = await running.outcome();
      if (code !== 0) throw new Error(`tunnel ${args[0]}: ${stderr}`);
      return stdout.trim();
    };
    const owned = stack.move();
    return {
      url: `https://127.0.0.1:${port}`,
      port,
      home,
      browser,
      complaints,
      run,
      async tab({ beside, ...options } = {}) {
        const context = (beside && contexts.get(beside)) ??
          await browser.newContext({ ignoreHTTPSErrors: true, ...options });
        const page = await context.newPage();
        contexts.set(page, context);
        listen(page, complaints);
        return page;
      },
      async device(id, ...options) {
        const running = tunnel(["device", "--id", id, ...options], { env });
        owned.defer(() => running[Symbol.asyncDispose]());
        await running.line(new RegExp(`^device ${id} online`, "m"));
        return running;
      },
      invite: (role, name, ...options) => run("invite", role, name, ...options),
      async stopRelay() {
        relay.kill();
        await bounded("the end of the relay", relay.outcome());
      },
      async startRelayWithoutUdp() {
        const elsewhere = freePort();
        const [listen, known] = [`127.0.0.1:${elsewhere}`, `tunnel://127.0.0.1:${port}`];
        relay = tunnel(["relay", "--listen", listen, "--public", known], { env });
        await relay.line(/^relay ready/m);
        owned.use(forwardTcp(port, elsewhere));
      },
      [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
    };
  } catch (cause) {
    await stack[Symbol.asyncDispose]();
    throw cause;
  }
}

/** Signs in by a link, as an operator does who was sent one. */
export async function signIn(page: Page, url: string, join: string): Promise<void> {
  await page.goto(`${url}/#${join}`);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
}

/** Carries TCP connections from one port of loopback to another. */
function forwardTcp(from: number, to: number): AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: from });
  const carry = async (near: Deno.Conn) => {
    const far = await Deno.connect({ hostname: "127.0.0.1", port: to });
    await Promise.all([near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)]);
  };
  const accepting = (async () => {
    // How a connection ends is for its two ends.
    for await (const conn of listener) carry(conn).catch(() => {});
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
    },
  };
}

function listen(page: Page, complaints: string[]): void {
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
}
