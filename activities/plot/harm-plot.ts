import { plotData } from '../../domain/harm-history/plot-data.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import { targetKey } from '../../domain/target.ts';
import { harmPlotSpec } from './spec.ts';
import { darkStyles } from './theme.ts';

/** Fits above the plot; the incident itself has the whole text. */
const MAX_TITLE = 72;

/** The parts of an incident that its plot shows. */
export type PlottedIncident = Pick<
  IncidentView,
  'incidentId' | 'title' | 'target' | 'harmHistory' | 'verification' | 'milestones' | 'timeline'
>;

/**
 * The harm rate of an incident over time as an SVG document: with the band of each column, the threshold, and what was
 * done marked; gaps where nothing was classified. Same view, same picture. It holds no script, and names no other file.
 * @returns undefined where there is nothing to be drawn.
 */
export async function renderHarmPlot(view: PlottedIncident): Promise<string | undefined> {
  const data = plotData(view);
  if (data === undefined) return undefined;
  const title = truncate(`Harm rate: ${stripControl(view.title)}`, MAX_TITLE);
  const about = view.target === undefined ? view.incidentId : `${targetKey(view.target)}, ${view.incidentId}`;
  const spec = harmPlotSpec(data, { title, subtitle: truncate(stripControl(about), MAX_TITLE) });
  // Only here: a plotting library has no place in the memory of a process that draws nothing.
  const { loader, parse, View } = await import('vega');
  const drawing = new View(parse(spec), { renderer: 'none', loader: refusing(loader()) });
  try {
    return accessible(await drawing.toSVG(), title, data.description);
  } finally {
    drawing.finalize();
  }
}

/** The specification names no address; should one get in all the same, nothing is fetched. */
function refusing<Loader extends object>(loader: Loader): Loader {
  const refuse = () => Promise.reject(new Error('plots load nothing'));
  return Object.assign(loader, { load: refuse, sanitize: refuse, http: refuse, file: refuse });
}

/** Title and description for screen readers (https://www.w3.org/TR/SVG2/struct.html#TitleElement), and the dark colours. */
function accessible(svg: string, title: string, description: string): string {
  const start = svg.indexOf('<svg');
  const end = svg.indexOf('>', start);
  return [
    svg.slice(0, end),
    ' role="img" aria-labelledby="firebreak-plot-title firebreak-plot-description">',
    `<title id="firebreak-plot-title">${escapeXml(title)}</title>`,
    `<desc id="firebreak-plot-description">${escapeXml(description)}</desc>`,
    `<style>${darkStyles()}</style>`,
    svg.slice(end + 1),
  ].join('');
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
