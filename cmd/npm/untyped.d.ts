/** Packages without types, for TypeScript's own compiler; Deno takes them as they are. */

declare module "libsodium" {
  const instantiate: () => Promise<unknown>;
  export default instantiate;
}
