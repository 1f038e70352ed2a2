/** What dist/console holds, as it is written down beside it. */

export const MANIFEST = "manifest.json";

export interface ManifestAsset {
  /** Its file; the same with `.gz` is compressed. */
  readonly file: string;
  readonly type: string;
  /** Changes with its content. */
  readonly tag: string;
  readonly bytes: number;
  readonly packed: number;
  /** Its path changes with its content. */
  readonly isForever?: boolean;
}

export interface Manifest {
  /** By path, as requests name it. */
  readonly assets: Record<string, ManifestAsset>;
  /** The sources that it was made of, each with its time and size. */
  readonly inputs: Record<string, string>;
}
