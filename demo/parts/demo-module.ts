import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The Go module demo/<name>: beside this file in a checkout, in the package's root when this was compiled to dist/. */
export function demoModule(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'demo', name);
    if (existsSync(join(candidate, 'go.mod'))) return candidate;
    if (dirname(folder) === folder) throw new Error(`the Go module demo/${name} is not in this installation`);
    folder = dirname(folder);
  }
}
