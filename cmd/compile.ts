/**
 * `deno task compile [--target TRIPLE]`: makes dist/tunnel. The entry is bundled first, which leaves
 * out what is never called, so the executable is smaller and starts sooner.
 */

import * as esbuild from "esbuild";
import { buildConsole } from "./console_build.ts";

const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];

const root = new URL("../", import.meta.url);
const dist = new URL("dist/", root);

const at = Deno.args.indexOf("--target");
const target = at < 0 ? undefined : Deno.args[at + 1];
if (at >= 0 && !TARGETS.includes(target ?? "")) {
  console.error(`compile: there is no target ${target}; use one of ${TARGETS.join(", ")}`);
  Deno.exit(2);
}

// A folder of its own, so that nothing of the project is embedded beside the bundle.
const bundle = await Deno.makeTempDir();
try {
  await esbuild.build({
    entryPoints: [new URL("cmd/main.ts", root).pathname],
    outfile: `${bundle}/main.mjs`,
    bundle: true,
    minify: true,
    keepNames: true,
    format: "esm",
    platform: "node",
    target: "esnext",
    legalComments: "none",
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire("file:///");`,
    },
  });
  await buildConsole(new URL(`file://${bundle}/console/`));
  const name = target ? `tunnel-${target}` : "tunnel";
  const output = new URL(name, dist).pathname;
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "compile",
        "--include",
        "console",
        "-A",
        "--unstable-net",
        "--no-config",
        "--no-lock",
        "--node-modules-dir=none",
      ],
      ...(target ? ["--target", target] : []),
      ...["--output", output, `${bundle}/main.mjs`],
    ],
    cwd: bundle,
  }).spawn().status;
  if (code !== 0) Deno.exit(code);
  const exe = (target ?? Deno.build.target).includes("windows") ? ".exe" : "";
  const { size } = await Deno.stat(output + exe);
  console.log(`dist/${name}${exe}  ${(size / 1e6).toFixed(1)} MB`);
} finally {
  await Deno.remove(bundle, { recursive: true });
}
