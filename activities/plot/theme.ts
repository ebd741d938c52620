/**
 * Colours of plots, on a light and on a dark page. A plot is drawn in the light ones; a style sheet in it exchanges them
 * where the reader prefers dark (viewers without style sheets show the light plot, on its own background). Contrast of
 * text and lines with their background is at least 4.5 (WCAG 2.2, 1.4.3); kinds of marks differ by their labels too.
 */
export const COLORS = {
  background: { light: '#ffffff', dark: '#0d1117' },
  ink: { light: '#1f2328', dark: '#e6edf3' },
  quiet: { light: '#59636e', dark: '#9198a1' },
  grid: { light: '#d8dee4', dark: '#30363d' },
  harm: { light: '#b3261e', dark: '#ff8a80' },
  band: { light: '#fae3e1', dark: '#3a1c1c' },
  threshold: { light: '#6a3fc8', dark: '#c4a7ff' },
  volume: { light: '#afb8c1', dark: '#484f58' },
  mark: { light: '#0a58ca', dark: '#79b8ff' },
} as const satisfies Record<string, { light: string; dark: string }>;

/** Exchanges each light colour for its dark one; attributes are where the renderer writes colours. */
export function darkStyles(): string {
  const rules = Object.values(COLORS).flatMap(({ light, dark }) =>
    ['fill', 'stroke'].map((property) => `[${property}="${light}"]{${property}:${dark}}`),
  );
  return `@media (prefers-color-scheme: dark){${rules.join('')}}`;
}
