import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { FAILURE_CONVERTER_PATH } from './codec/data-converter.ts';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** Folders whose files end up in the workflow bundle: their content decides whether a cached bundle is still right. */
const BUNDLED_FOLDERS = ['workflows', 'domain', 'runbooks/steps', 'worker/codec'];

/** The extension of our own modules: sources run as they are, packages hold compiled files. */
const EXTENSION = path.extname(fileURLToPath(import.meta.url));

async function contentHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of BUNDLED_FOLDERS) {
    const entries = await readdir(path.join(ROOT, folder), { recursive: true });
    for (const entry of entries.filter((name) => name.endsWith(EXTENSION)).sort()) {
      hash.update(`${folder}/${entry}\n`);
      hash.update(await readFile(path.join(ROOT, folder, entry)));
    }
  }
  const manifest = createRequire(import.meta.url).resolve('@temporalio/worker/package.json');
  const sdk = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  return hash.update(sdk.version).digest('hex').slice(0, 24);
}

/** Beside the code: there a package brings its bundle, and a checkout keeps the one that its tests and demos share. */
const OWN_BUNDLES = path.join(ROOT, EXTENSION === '.ts' ? '.firebreak/bundle' : 'bundle');

/** File name of the workflow bundle in its cache folder. */
function bundleName(hash: string): string {
  return `workflows-${hash}.js`;
}

/**
 * The workflow bundle: the one beside the code, or else one that is built for this content of the sources (it takes seconds)
 * and kept in `cacheDir`.
 * @returns the path of the bundle file.
 */
export async function workflowBundle(cacheDir = OWN_BUNDLES): Promise<string> {
  const name = bundleName(await contentHash());
  const file = path.join(cacheDir, name);
  const built = [path.join(OWN_BUNDLES, name), file].find(existsSync);
  if (built !== undefined) return built;
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(ROOT, `workflows/index${EXTENSION}`),
    failureConverterPath: FAILURE_CONVERTER_PATH,
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.error, error: console.error },
  });
  await mkdir(cacheDir, { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, code);
  await rename(temporary, file);
  await removeOlder(cacheDir, path.basename(file));
  return file;
}

/** Other versions' bundles that are kept: a process that was started before an upgrade may still read its own. */
const KEPT_BUNDLES = 5;

/** Bundles of sources long gone are of no use to anyone. */
async function removeOlder(cacheDir: string, keep: string): Promise<void> {
  const names = (await readdir(cacheDir)).filter(
    (name) => name.startsWith('workflows-') && name.endsWith('.js') && name !== keep,
  );
  const aged = await Promise.all(
    names.map(async (name) => ({ name, atMs: (await stat(path.join(cacheDir, name))).mtimeMs })),
  );
  aged.sort((a, b) => b.atMs - a.atMs);
  for (const { name } of aged.slice(KEPT_BUNDLES)) await rm(path.join(cacheDir, name), { force: true });
}
