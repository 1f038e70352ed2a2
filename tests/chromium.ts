/** A page of a real browser, for tests of what runs in one. */

import * as esbuild from "esbuild";
import { chromium, type Page } from "playwright-core";
import { find } from "./require.ts";

/** The name under which {@linkcode testWith} looks for it. */
export const CHROMIUM = "chromium";

export const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface BrowserPage extends AsyncDisposable {
  readonly page: Page;
  /** As the page names itself to servers. */
  readonly origin: string;
}

/**
 * A blank page of loopback, which browsers count as secure, with a profile of its own.
 *
 * @param script a module, bundled; what it exports is `globalThis.lib` there
 */
export async function openPage(script: URL): Promise<BrowserPage> {
  const code = await bundle(script);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("<!doctype html><title>test</title>", { headers: HTML }),
  );
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const browser = await chromium.launch({
    executablePath: find(CHROMIUM),
    headless: true,
    args: ARGUMENTS,
  });
  const close = async () => {
    await browser.close();
    await server.shutdown();
  };
  try {
    const page = await browser.newPage();
    await page.goto(origin);
    await page.evaluate(code);
    return { page, origin, [Symbol.asyncDispose]: close };
  } catch (cause) {
    await close();
    throw cause;
  }
}

// deno-lint-ignore no-explicit-any -- of a function that is called with what it takes
type Exports = Record<string, (...args: any[]) => unknown>;

/** Calls what the page's script exports; arguments and results are copied. */
export async function callPage<Lib extends Exports, Name extends keyof Lib & string>(
  page: Page,
  name: Name,
  ...args: Parameters<Lib[Name]>
): Promise<Awaited<ReturnType<Lib[Name]>>> {
  const run = ({ name, args }: { name: string; args: unknown[] }) =>
    (globalThis as unknown as { lib: Exports }).lib[name]!(...args);
  return await page.evaluate(run, { name, args }) as Awaited<ReturnType<Lib[Name]>>;
}

const HTML = { "content-type": "text/html" };

async function bundle(script: URL): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [script.pathname],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "lib",
    jsx: "automatic",
    jsxImportSource: "preact",
    platform: "browser",
    target: "esnext",
  });
  await esbuild.stop();
  return `${outputFiles[0]!.text};globalThis.lib = lib;`;
}
