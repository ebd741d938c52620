import type { Spec } from 'vega';
import type { PlotData } from '../../domain/harm-history/plot-data.ts';
import { placeLabels } from './labels.ts';
import { COLORS } from './theme.ts';

const WIDTH_PX = 720;
const HEIGHT_PX = 220;
const VOLUME_PX = 36;
const VOLUME_GAP_PX = 14;
const LABEL_ROW_PX = 14;
const TITLE_GAP_PX = 14;
const FONT = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif';

/** Short enough for eight ticks, and never the same twice. */
function timeFormat(spanMs: number): string {
  if (spanMs < 10 * 60_000) return '%H:%M:%S';
  return spanMs < 24 * 3_600_000 ? '%H:%M' : '%b %d %H:%M';
}

const ink = (color: keyof typeof COLORS) => ({ value: COLORS[color].light });

/**
 * The plot as a Vega specification. Names and texts are values of data, never expressions: nothing that an alert or a
 * cluster wrote is evaluated.
 */
export function harmPlotSpec(data: PlotData, text: { title: string; subtitle: string }): Spec {
  const { columns, fromMs, toMs, top, threshold, marks } = data;
  const labels = placeLabels(marks, { fromMs, toMs, widthPx: WIDTH_PX });
  const points = columns.map(({ low, high, ...column }) => ({
    ...column,
    atMs: (column.fromMs + column.toMs) / 2,
    // Cut here and not by a clip path, whose id would be another one in each plot of a process.
    ...(low === undefined || high === undefined
      ? {}
      : { low: Math.min(low, top), high: Math.min(high, top) }),
  }));
  // Bounds of a gap have no place: those rows are left out of lines by `defined`.
  const shape = { x: { scale: 'time', field: 'atMs' }, defined: { signal: 'isValid(datum.rate)' } };
  const axisText = {
    // The document has a description of its own.
    aria: false,
    labelColor: COLORS.quiet.light,
    titleColor: COLORS.quiet.light,
    tickColor: COLORS.grid.light,
    domainColor: COLORS.grid.light,
    labelFont: FONT,
    titleFont: FONT,
    labelFontSize: 11,
    titleFontSize: 11,
    titleFontWeight: 'normal' as const,
  };

  return {
    width: WIDTH_PX,
    height: HEIGHT_PX,
    padding: { left: 8, right: 16, top: 8, bottom: 8 },
    autosize: 'pad',
    background: COLORS.background.light,
    title: {
      text: text.title,
      subtitle: text.subtitle,
      anchor: 'start',
      frame: 'group',
      color: COLORS.ink.light,
      subtitleColor: COLORS.quiet.light,
      font: FONT,
      subtitleFont: FONT,
      fontSize: 14,
      subtitleFontSize: 11,
      subtitlePadding: 4,
      offset: TITLE_GAP_PX,
    },
    data: [
      { name: 'points', values: points },
      { name: 'seen', source: 'points', transform: [{ type: 'filter', expr: 'isValid(datum.rate)' }] },
      { name: 'marks', values: marks },
      { name: 'labels', values: labels },
      { name: 'threshold', values: threshold === undefined ? [] : [{ threshold }] },
    ],
    scales: [
      { name: 'time', type: 'utc', domain: [fromMs, toMs], range: 'width' },
      { name: 'rate', type: 'linear', domain: [0, top], range: 'height' },
      {
        name: 'volume',
        type: 'linear',
        domain: { data: 'points', field: 'classified' },
        range: [HEIGHT_PX + VOLUME_GAP_PX + VOLUME_PX, HEIGHT_PX + VOLUME_GAP_PX],
        zero: true,
      },
    ],
    axes: [
      {
        orient: 'left',
        scale: 'rate',
        format: top < 0.05 ? '.1%' : '.0%',
        tickCount: 5,
        grid: true,
        gridColor: COLORS.grid.light,
        title: 'harmful / classified',
        ...axisText,
      },
      {
        orient: 'bottom',
        scale: 'time',
        offset: VOLUME_GAP_PX + VOLUME_PX,
        tickCount: 8,
        format: timeFormat(toMs - fromMs),
        title: 'UTC. Shaded: 95% interval of each point. Bars: classified outputs',
        ...axisText,
      },
    ],
    marks: [
      {
        type: 'area',
        from: { data: 'points' },
        encode: {
          update: {
            ...shape,
            y: { scale: 'rate', field: 'low' },
            y2: { scale: 'rate', field: 'high' },
            fill: ink('band'),
          },
        },
      },
      {
        type: 'rect',
        from: { data: 'points' },
        encode: {
          update: {
            x: { scale: 'time', field: 'fromMs' },
            x2: { scale: 'time', field: 'toMs', offset: -0.5 },
            y: { scale: 'volume', field: 'classified' },
            y2: { scale: 'volume', value: 0 },
            fill: ink('volume'),
          },
        },
      },
      {
        type: 'rule',
        from: { data: 'threshold' },
        encode: {
          update: {
            x: { value: 0 },
            x2: { value: WIDTH_PX },
            y: { scale: 'rate', field: 'threshold' },
            stroke: ink('threshold'),
            strokeWidth: { value: 1.5 },
            strokeDash: { value: [6, 4] },
          },
        },
      },
      {
        type: 'text',
        from: { data: 'threshold' },
        encode: {
          update: {
            x: { value: WIDTH_PX },
            // Outside, where no line of a mark runs through it.
            dx: { value: 4 },
            y: { scale: 'rate', field: 'threshold' },
            baseline: { value: 'middle' },
            text: { signal: "'threshold ' + format(datum.threshold, '.3~p')" },
            fill: ink('threshold'),
            font: { value: FONT },
            fontSize: { value: 11 },
          },
        },
      },
      {
        type: 'rule',
        from: { data: 'marks' },
        encode: {
          update: {
            x: { scale: 'time', field: 'atMs' },
            y: { value: 0 },
            y2: { value: HEIGHT_PX + VOLUME_GAP_PX + VOLUME_PX },
            stroke: ink('mark'),
            strokeWidth: { value: 1 },
          },
        },
      },
      {
        type: 'rule',
        from: { data: 'labels' },
        encode: {
          update: {
            x: { field: 'xPx' },
            y: { signal: `-4 - datum.row * ${LABEL_ROW_PX}` },
            y2: { value: 0 },
            stroke: ink('mark'),
            strokeWidth: { value: 1 },
          },
        },
      },
      {
        type: 'text',
        from: { data: 'labels' },
        encode: {
          update: {
            x: { field: 'xPx' },
            dx: { value: 4 },
            y: { signal: `-4 - datum.row * ${LABEL_ROW_PX}` },
            baseline: { value: 'bottom' },
            text: { field: 'label' },
            fill: ink('mark'),
            font: { value: FONT },
            fontSize: { value: 11 },
          },
        },
      },
      {
        type: 'line',
        from: { data: 'points' },
        encode: {
          update: {
            ...shape,
            y: { scale: 'rate', field: 'rate' },
            stroke: ink('harm'),
            strokeWidth: { value: 2 },
          },
        },
      },
      {
        // A column between two gaps has no line.
        type: 'symbol',
        from: { data: 'seen' },
        encode: {
          update: {
            x: { scale: 'time', field: 'atMs' },
            y: { scale: 'rate', field: 'rate' },
            fill: ink('harm'),
            size: { value: 9 },
          },
        },
      },
    ],
  };
}
