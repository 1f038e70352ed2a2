/** The npm package, made, packed and installed into an empty project: once for each test file. */

import { runToEnd, tempDir } from "./processes.ts";

export interface Project extends AsyncDisposable {
  /** A folder with the package in its `node_modules`. */
  readonly path: string;
  /** The package there. */
  readonly installed: string;
}

/** @throws what goes wrong, with what the programs said */
export async function installPackage(): Promise<Project> {
  const root = new URL("../", import.meta.url).pathname;
  const dir = await tempDir();
  const run = async (cwd: string, ...command: string[]) => {
    const { code, stdout, stderr } = await runToEnd(command, { cwd });
    if (code !== 0) throw new Error(`${command.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  await run(root, Deno.execPath(), "run", "-A", "cmd/npm.ts");
  const { path } = dir;
  const packed = await run(
    `${root}/dist/npm`,
    "npm",
    "pack",
    "--silent",
    "--pack-destination",
    path,
  );
  await Deno.writeTextFile(`${path}/package.json`, '{"type":"module","private":true}\n');
  await run(path, "npm", "install", "--silent", "--prefer-offline", `./${packed.trim()}`);
  return {
    path,
    installed: `${path}/node_modules/@tunnel/tunnel`,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}
