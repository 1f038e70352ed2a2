/**
 * Libraries of the system, for what the runtime does not have or is slow at. A program may call them
 * that has `--allow-ffi`, as the executable does; nobody is asked.
 */

/**
 * Opens one.
 *
 * @returns its functions; undefined on another system than Linux, without the permission, and where
 * there is no such library or it lacks one of them
 */
export function openLibrary<S extends Deno.ForeignLibraryInterface>(
  name: string,
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] | undefined {
  if (typeof Deno !== "object" || Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    return Deno.dlopen(name, symbols).symbols;
  } catch {
    return undefined; // Whoever calls it has another way, if not as good.
  }
}
