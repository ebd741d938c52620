import { describe, expect, it } from 'vitest';
import { imagesNamedIn } from './manifest-images.ts';

const IMAGES = ['registry.test/a/llm:1.10', 'registry.test/a/llm@sha256:abc'];

describe('imagesNamedIn', () => {
  it.each([
    [
      'a container',
      'spec: { containers: [{ image: registry.test/a/llm:1.10 }] }',
      'registry.test/a/llm:1.10',
    ],
    ['a second document', 'a: 1\n---\nimage: "registry.test/a/llm:1.10"\n', 'registry.test/a/llm:1.10'],
    ['a tag that looks like a number', 'images: [{ name: registry.test/a/llm, newTag: 1.10 }]', IMAGES[0]],
    ['another name', 'images: [{ name: llm, newName: registry.test/a/llm, newTag: "1.10" }]', IMAGES[0]],
    ['a digest', 'images: [{ name: registry.test/a/llm, digest: "sha256:abc" }]', IMAGES[1]],
    ['values', 'image: { repository: a/llm, tag: 1.10 }', IMAGES[0]],
    ['JSON', '{"image":"registry.test/a/llm:1.10"}', IMAGES[0]],
  ])('finds %s', (_, text, image) => {
    expect([...imagesNamedIn(text, IMAGES)]).toEqual([image]);
  });

  it.each([
    ['a part of another tag', 'image: registry.test/a/llm:1.100'],
    ['another image with the tag', 'images: [{ name: registry.test/b, newTag: "1.10" }]'],
    ['a comment', '# image: registry.test/a/llm:1.10\na: 1'],
    ['the end of another name', 'image: { repository: lm, tag: 1.10 }'],
    ['a template that is no YAML', '{{- if .Values.x }}\nimage: {{ .Values.image }}'],
    [
      'aliases that grow',
      `a: &a [x]\n${Array.from({ length: 200 }, (_, i) => `b${i}: *a`).join('\n')}\nimage: registry.test/a/llm:1.10`,
    ],
  ])('does not take %s', (_, text) => {
    expect([...imagesNamedIn(text, IMAGES)]).toEqual([]);
  });
});
