import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import satori from 'satori';
import type { Picture } from './element.ts';

/** Sharp on most screens, and not much more than 100 kB. */
const SCALE = 1.5;

const require = createRequire(import.meta.url);
const font = (name: string, file: string, weight: 400 | 700) => ({
  name,
  data: readFileSync(require.resolve(file)),
  weight,
  style: 'normal' as const,
});

/** Fonts come from packages, so that every machine draws the same. */
function fonts() {
  return [
    font('Lato', '@fontsource/lato/files/lato-latin-400-normal.woff', 400),
    font('Lato', '@fontsource/lato/files/lato-latin-700-normal.woff', 700),
    // Has the characters that the others have not, such as the blocks of a sparkline.
    font('DejaVu Sans Mono', 'dejavu-fonts-ttf/ttf/DejaVuSansMono.ttf', 400),
    font('DejaVu Sans Mono', 'dejavu-fonts-ttf/ttf/DejaVuSansMono-Bold.ttf', 700),
  ];
}

/** The picture as a PNG. */
export async function draw({ element, width }: Picture): Promise<Uint8Array> {
  const svg = await satori(element as Parameters<typeof satori>[0], { width, fonts: fonts() });
  return new Resvg(svg, { fitTo: { mode: 'zoom', value: SCALE }, font: { loadSystemFonts: false } })
    .render()
    .asPng();
}
