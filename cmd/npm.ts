/**
 * `deno task npm`: makes dist/npm, the package for Node and browsers: bundles, source maps, types.
 * No file of it needs Deno.
 */

import * as esbuild from "esbuild";

const root = new URL("../", import.meta.url);
const dist = new URL("dist/npm/", root);
const ENTRIES = ["node", "browser"] as const;

/** What Node 20 lacks of what the sources use; no global is touched. */
const SINCE = {
  define: { "Promise.withResolvers": "withResolvers" },
  inject: [path("cmd/npm/since.ts")],
};

await Deno.remove(dist, { recursive: true }).catch(() => {}); // It need not be there.
await Deno.mkdir(dist, { recursive: true });
await bundle();
await declare();
const version = await describePackage();
await Deno.copyFile(new URL("cmd/npm/README.md", root), new URL("README.md", dist));
await Deno.copyFile(new URL("LICENSE", root), new URL("LICENSE", dist));
console.log(`dist/npm  ${version}`);

async function bundle(): Promise<void> {
  for (const entry of ENTRIES) {
    await esbuild.build({
      ...SINCE,
      entryPoints: [path(`cmd/npm/${entry}.ts`)],
      outdir: path("dist/npm"),
      bundle: true,
      // What is loaded later is a file of its own.
      splitting: true,
      chunkNames: `${entry}-[name]-[hash]`,
      format: "esm",
      platform: entry === "node" ? "node" : "browser",
      target: "es2022",
      keepNames: true,
      sourcemap: true,
      legalComments: "linked",
      logLevel: "warning",
    });
  }
  await esbuild.stop();
}

/** Types by TypeScript's own compiler: one file beside the other, with the comments. */
async function declare(): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", path("node_modules/typescript/bin/tsc")],
      ...["--declaration", "--emitDeclarationOnly", "--allowImportingTsExtensions"],
      ...["--strict", "--skipLibCheck", "--target", "es2022", "--types", "node"],
      ...["--module", "nodenext", "--lib", "esnext,dom,dom.iterable,dom.asynciterable"],
      ...["--rootDir", path(""), "--outDir", path("dist/npm/types")],
      ...["untyped.d.ts", ...ENTRIES.map((entry) => `${entry}.ts`)].map((name) =>
        path(`cmd/npm/${name}`)
      ),
    ],
    cwd: root,
  }).spawn().status;
  if (code !== 0) Deno.exit(code);
}

async function describePackage(): Promise<string> {
  const { version, license, description, dependencies } = JSON.parse(
    await Deno.readTextFile(new URL("package.json", root)),
  );
  const entry = (name: typeof ENTRIES[number]) => ({
    types: `./types/cmd/npm/${name}.d.ts`,
    default: `./${name}.js`,
  });
  const text = JSON.stringify(
    {
      name: "@tunnel/tunnel",
      version,
      description,
      license,
      type: "module",
      engines: { node: ">=20.3" },
      sideEffects: false,
      exports: {
        ".": { browser: entry("browser"), default: entry("node") },
        "./browser": entry("browser"),
        "./package.json": "./package.json",
      },
      // For those who ask neither for conditions nor for maps.
      main: "./node.js",
      browser: "./browser.js",
      types: "./types/cmd/npm/node.d.ts",
      // Named by types alone: the bundles have all that they run.
      dependencies: { valibot: dependencies.valibot },
      // With its add-on for HTTP/3, sessions from Node are WebTransport.
      peerDependencies: {
        "@fails-components/webtransport": "^1.6.0",
        "@fails-components/webtransport-transport-http3-quiche": "^1.6.0",
      },
      peerDependenciesMeta: {
        "@fails-components/webtransport": { optional: true },
        "@fails-components/webtransport-transport-http3-quiche": { optional: true },
      },
    },
    null,
    2,
  );
  await Deno.writeTextFile(new URL("package.json", dist), `${text}\n`);
  return version;
}

function path(name: string): string {
  return new URL(name, root).pathname;
}
