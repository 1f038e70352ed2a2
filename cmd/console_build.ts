/**
 * `deno task console`: makes dist/console, the page that a relay serves. A relay that runs from
 * source makes it by itself at the first request for it; the executable carries it.
 */

import * as esbuild from "esbuild";
import { gzip as gzipWith } from "node:zlib";
import { promisify } from "node:util";
import { MANIFEST, type Manifest, type ManifestAsset } from "./console_manifest.ts";

const root = new URL("../", import.meta.url);
const gzip = promisify(gzipWith);

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** What libraries name and browsers do not have: parts of Node that no page gets to. */
const NODE_PARTS = /^(?:fs|crypto|stream|path|os|net|node-rsa|vscode-jsonrpc\/node)$/;

/** Bundles into a folder, which need not be there. */
export async function buildConsole(output: URL): Promise<void> {
  const parent = new URL("../", output);
  await Deno.mkdir(parent, { recursive: true });
  // Made beside its place and moved there whole: another process may do the same at this moment.
  const made = await Deno.makeTempDir({ dir: parent.pathname, prefix: ".console-" });
  try {
    const manifest = await bundle(made);
    await Deno.writeTextFile(`${made}/${MANIFEST}`, JSON.stringify(manifest));
    await Deno.remove(output, { recursive: true }).catch(() => {}); // It need not be there.
    await Deno.rename(made, output);
  } catch (cause) {
    await Deno.remove(made, { recursive: true });
    throw cause;
  }
}

async function bundle(made: string): Promise<Manifest> {
  const pages = await esbuild.build({
    ...COMMON,
    entryPoints: ["app", "viewer"].map((name) => ({ in: path(`web/${name}.tsx`), out: name })),
    splitting: true,
    format: "esm",
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
  });
  // Put into the page as it is: a page without an origin loads no file of the relay's.
  const frame = await esbuild.build({
    ...COMMON,
    entryPoints: [path("web/pages/frame.ts")],
    format: "iife",
  });
  await esbuild.stop();
  const assets: Manifest["assets"] = {};
  const put = async (
    at: string,
    extension: string,
    bytes: Uint8Array,
    fields: Partial<ManifestAsset>,
  ) => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)));
    const name = at === "/" ? "index" : at.slice(1).replaceAll("/", "_");
    const packed = await gzip(bytes, { level: 9 });
    await Deno.writeFile(`${made}/${name}`, bytes);
    await Deno.writeFile(`${made}/${name}.gz`, packed);
    assets[at] = {
      file: name,
      type: TYPES[extension]!,
      tag: digest.subarray(0, 12).toHex(),
      bytes: bytes.length,
      packed: packed.length,
      ...fields,
    };
  };
  const names: string[] = [];
  for (const { path, contents } of pages.outputFiles) {
    const name = path.split("/").at(-1)!;
    names.push(name);
    await put(`/${name}`, name.split(".").at(-1)!, contents, { isForever: true });
  }
  for (const [at, name] of [["/", "app"], ["/view", "viewer"]] as const) {
    const page = await Deno.readTextFile(new URL(`web/${name}.html`, root));
    const html = page.replaceAll(/\{\{(\w+)\.(\w+)\}\}/g, (_, entry, extension) => {
      const found = names.find((name) =>
        name.startsWith(`${entry}-`) && name.endsWith(`.${extension}`)
      );
      if (!found) throw new Error(`${name}.html names ${entry}.${extension}, which is not made`);
      return `/${found}`;
    });
    await put(at, "html", new TextEncoder().encode(html), {});
  }
  const script = frame.outputFiles[0]!.text.replaceAll("</script", "<\\/script");
  const html = `<!doctype html><meta charset="utf-8"><script>${script}</script>`;
  await put("/_frame", "html", new TextEncoder().encode(html), {});
  const inputs = Object.keys({ ...pages.metafile!.inputs, ...frame.metafile!.inputs });
  return { assets, inputs: await stamps(inputs) };
}

const COMMON = {
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  outdir: path("dist/console"),
  absWorkingDir: path(""),
  platform: "browser",
  target: "es2022",
  mainFields: ["browser", "module", "main"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  plugins: [{
    name: "no Node",
    setup(build) {
      build.onResolve({ filter: NODE_PARTS }, () => ({ path: path("web/terminal/no_node.ts") }));
    },
  }],
} satisfies esbuild.BuildOptions;

/** By which a change of a source shows: its time and size. */
async function stamps(inputs: readonly string[]): Promise<Manifest["inputs"]> {
  const others = ["web/app.html", "web/viewer.html", "cmd/console_build.ts", "deno.lock"];
  // Packages change by the lock file.
  const sources = inputs.filter((name) => !name.includes("node_modules/"));
  const result: Manifest["inputs"] = {};
  for (const name of [...sources, ...others]) {
    const { mtime, size } = await Deno.stat(new URL(name, root));
    result[name] = `${mtime?.getTime()}:${size}`;
  }
  return result;
}

function path(name: string): string {
  return new URL(name, root).pathname;
}

if (import.meta.main) {
  await buildConsole(new URL("dist/console/", root));
  const manifest: Manifest = JSON.parse(
    await Deno.readTextFile(new URL(`dist/console/${MANIFEST}`, root)),
  );
  for (const [at, { bytes, packed }] of Object.entries(manifest.assets)) {
    console.log(`${at}  ${kilobytes(bytes)}, compressed ${kilobytes(packed)}`);
  }
}

function kilobytes(count: number): string {
  return `${(count / 1_000).toFixed(1)} kB`;
}
