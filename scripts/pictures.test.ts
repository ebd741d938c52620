import { globSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { pictures, sourceHash } from './pictures/list.ts';
import { FOLDER, hashOf, plotPicture, readManifest } from './pictures.ts';

const DOCS = path.join(FOLDER, '..');
const manifest = readManifest();
const drawn = await pictures();

describe('the pictures of docs/pictures', () => {
  it.each(drawn.map((picture) => [picture.name, picture] as const))(
    '%s shows what the renderers make now (else: npm run pictures)',
    (name, picture) => {
      const entry = manifest[`${name}.png`];
      expect(entry?.source).toBe(sourceHash(picture));
      expect(hashOf(readFileSync(path.join(FOLDER, `${name}.png`)))).toBe(entry?.file);
    },
  );

  it('show the plot of tickets as it is drawn now (else: npm run pictures)', async () => {
    const { file, svg } = await plotPicture();
    expect(readFileSync(path.join(FOLDER, file), 'utf8')).toBe(svg);
  });

  it('are all there, and none that nobody draws any more', () => {
    const there = readdirSync(FOLDER).filter((file) => file !== 'manifest.json');
    expect(there.sort()).toEqual(Object.keys(manifest).sort());
  });

  it('stand on pages that say what they are', () => {
    const texts = globSync('**/*.md', { cwd: DOCS }).map((page) =>
      readFileSync(path.join(DOCS, page), 'utf8'),
    );
    for (const { name, alt } of drawn) {
      const shown = texts.filter((text) => text.includes(`pictures/${name}.png`));
      expect(shown.length, name).toBeGreaterThan(0);
      for (const text of shown) {
        expect(text).toMatch(/by a script|a script draws/);
        const links = [`![${alt}](pictures/${name}.png)`, `![${alt}](../pictures/${name}.png)`];
        expect(
          links.some((link) => text.includes(link)),
          `${name} has its alternative text`,
        ).toBe(true);
      }
    }
  });
});
