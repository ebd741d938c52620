/**
 * Draws the pictures of docs/pictures from what the renderers make of one incident: `npm run pictures`.
 * scripts/pictures.test.ts fails while a picture is older than what it shows.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderHarmPlot } from '../activities/plot/harm-plot.ts';
import { draw } from './pictures/draw.ts';
import { pictures, sourceHash } from './pictures/list.ts';
import { CLOSED } from './pictures/views.ts';

export const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'pictures');

/** Of every picture: its own hash, and that of what it was drawn from. */
export type Manifest = Record<string, { source: string; file: string }>;

export function hashOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What tickets get beside their comments; SVG already, so that nothing is drawn. */
export async function plotPicture(): Promise<{ file: string; svg: string }> {
  const svg = await renderHarmPlot(CLOSED);
  if (svg === undefined) throw new Error('the view of the plot has no harm rate over time');
  return { file: 'ticket-plot.svg', svg };
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(path.join(FOLDER, 'manifest.json'), 'utf8')) as Manifest;
}

if (import.meta.main) {
  mkdirSync(FOLDER, { recursive: true });
  const manifest: Manifest = {};
  for (const picture of await pictures()) {
    const png = await draw(picture);
    const file = `${picture.name}.png`;
    writeFileSync(path.join(FOLDER, file), png);
    manifest[file] = { source: sourceHash(picture), file: hashOf(png) };
    console.log(`docs/pictures/${file}  ${Math.ceil(png.length / 1_024)} kB`);
  }
  const plot = await plotPicture();
  writeFileSync(path.join(FOLDER, plot.file), plot.svg);
  manifest[plot.file] = { source: hashOf(plot.svg), file: hashOf(plot.svg) };
  writeFileSync(path.join(FOLDER, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}
