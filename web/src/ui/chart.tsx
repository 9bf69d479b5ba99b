/** Readings over time: a line, the band between lowest and highest, and hatching where there are none. */
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import css from "./chart.module.css";
import { clockTime, exactly, number, quantity } from "./words";

export type Point = { at: string; mean: number; min: number; max: number; count: number };
export type Gap = { begins_at: string; ends_at: string; is_open: boolean };
export type ChartProps = {
  name: string;
  unit: string;
  beginsAt: string;
  endsAt: string;
  points: Point[];
  gaps: Gap[];
  height: number;
};

const BAND = 0.15;
const FONT = "11px system-ui, sans-serif";
/** Narrower than this, a gap has no room for words. */
const LABEL_PX_MIN = 74;
/** The same readings as a table, for those who cannot see the line: as many rows as one can listen to. */
const TABLE_ROWS_MAX = 24;

export function Chart(props: ChartProps) {
  const { name, unit, beginsAt, endsAt, points, gaps, height } = props;
  const holder = useRef<HTMLDivElement>(null);
  const [index, setIndex] = useState<number | null>(null);
  const theme = useThemeVersion();
  const rows = useMemo(() => table(points, gaps), [points, gaps]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `theme` means that the colours are others now
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const plot = draw(element, { beginsAt, endsAt, gaps, height, rows, onCursor: setIndex });
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [beginsAt, endsAt, gaps, height, rows, theme]);
  const at = index === null ? null : rows.points[index];
  return (
    <figure className={css.figure}>
      <div ref={holder} role="img" aria-label={summary(props)} style={{ minHeight: height }} />
      <figcaption className={css.caption}>
        {at ? (
          <>
            <b>{quantity(at.mean, unit)}</b> at {exactly(new Date(at.at))}
            {at.count > 1 && `, ${at.count} readings between ${number(at.min)} and ${number(at.max)}`}
          </>
        ) : (
          <span>{Intl.DateTimeFormat().resolvedOptions().timeZone}</span>
        )}
      </figcaption>
      <details className={css.table}>
        <summary>As a table</summary>
        <table>
          <caption className="sr">{name}</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Mean</th>
              <th scope="col">Lowest</th>
              <th scope="col">Highest</th>
            </tr>
          </thead>
          <tbody>
            {thin(points).map((point) => (
              <tr key={point.at}>
                <th scope="row">{exactly(new Date(point.at))}</th>
                <td>{quantity(point.mean, unit)}</td>
                <td>{quantity(point.min, unit)}</td>
                <td>{quantity(point.max, unit)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

export function summary({ name, unit, points, gaps }: ChartProps): string {
  const last = points.at(-1);
  if (!last) return `${name}: no readings`;
  const low = Math.min(...points.map((point) => point.min));
  const high = Math.max(...points.map((point) => point.max));
  const open = gaps.find((gap) => gap.is_open);
  const missing = open ? `; no readings since ${clockTime(new Date(open.begins_at))}` : "";
  return `${name}, between ${quantity(low, unit)} and ${quantity(high, unit)}, last ${quantity(last.mean, unit)}${missing}`;
}

type Table = { data: uPlot.AlignedData; points: (Point | null)[] };

/** Columns as uPlot wants them. A hole at each gap keeps the line from being drawn across it. */
export function table(points: Point[], gaps: Gap[]): Table {
  const holes = gaps
    .filter((gap) => !gap.is_open)
    .map((gap) => (Date.parse(gap.begins_at) + Date.parse(gap.ends_at)) / 2000);
  const rows: { x: number; point: Point | null }[] = [
    ...points.map((point) => ({ x: Date.parse(point.at) / 1000, point })),
    ...holes.map((x) => ({ x, point: null })),
  ].sort((one, other) => one.x - other.x);
  const column = (of: (point: Point) => number) => rows.map((row) => (row.point ? of(row.point) : null));
  return {
    data: [rows.map((row) => row.x), column((p) => p.mean), column((p) => p.min), column((p) => p.max)],
    points: rows.map((row) => row.point),
  };
}

function thin(points: Point[]): Point[] {
  const step = Math.ceil(points.length / TABLE_ROWS_MAX);
  return points.filter((_, index) => index % step === 0);
}

type Drawing = Pick<ChartProps, "beginsAt" | "endsAt" | "gaps" | "height"> & {
  rows: Table;
  onCursor: (index: number | null) => void;
};

function draw(element: HTMLElement, { beginsAt, endsAt, gaps, height, rows, onCursor }: Drawing): uPlot {
  const colour = colours(element);
  const accent = colour("--accent");
  const axis: uPlot.Axis = {
    stroke: colour("--muted"),
    font: FONT,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const from = Date.parse(beginsAt) / 1000;
  const to = Date.parse(endsAt) / 1000;
  return new uPlot(
    {
      width: element.clientWidth,
      height,
      padding: [10, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: accent } },
      scales: { x: { min: from, max: to }, y: { range: (_plot, low, high) => room(low, high) } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 28,
          space: 80,
          values: (_plot, ticks) => ticks.map((tick) => tickText(tick, to - from)),
        },
        { ...axis, size: 44, values: (_plot, ticks) => ticks.map(number) },
      ],
      series: [{}, { stroke: accent, width: 1.5, points: { show: false } }, edge(), edge()],
      bands: [{ series: [3, 2], fill: translucent(accent) }],
      hooks: {
        drawClear: [(plot) => hatch(plot, gaps, colour)],
        setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
      },
    },
    rows.data,
    element,
  );
}

function edge(): uPlot.Series {
  return { stroke: "transparent", width: 0, points: { show: false } };
}

/** A little air above and below, so that a steady value is a line in the middle and not a mountain range. */
export function room(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const span = Math.max(high - low, Math.abs(high) * 0.05, 0.5);
  return [low - span * 0.12, high + span * 0.12];
}

export function tickText(seconds: number, span: number): string {
  const at = new Date(seconds * 1000);
  if (span <= 2 * 86_400) return clockTime(at);
  return at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

function hatch(plot: uPlot, gaps: Gap[], colour: (token: string) => string): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  for (const gap of gaps) {
    const begins = Math.max(plot.valToPos(Date.parse(gap.begins_at) / 1000, "x", true), bbox.left);
    const ends = Math.min(plot.valToPos(Date.parse(gap.ends_at) / 1000, "x", true), bbox.left + bbox.width);
    if (ends <= begins) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(begins, bbox.top, ends - begins, bbox.height);
    ctx.clip();
    ctx.fillStyle = colour("--stale-tint");
    ctx.fillRect(begins, bbox.top, ends - begins, bbox.height);
    ctx.strokeStyle = colour("--line");
    ctx.lineWidth = 3 * ratio;
    ctx.beginPath();
    for (let x = begins - bbox.height; x < ends; x += 10 * ratio) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    if (ends - begins > LABEL_PX_MIN * ratio) label(ctx, gap, (begins + ends) / 2, bbox, colour("--stale"), ratio);
    ctx.restore();
  }
}

function label(
  ctx: CanvasRenderingContext2D,
  gap: Gap,
  x: number,
  bbox: uPlot.BBox,
  colour: string,
  ratio: number,
): void {
  const until = gap.is_open ? "now" : clockTime(new Date(gap.ends_at));
  ctx.fillStyle = colour;
  ctx.font = `${12 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.fillText("no readings", x, bbox.top + bbox.height * 0.4);
  ctx.fillText(`${clockTime(new Date(gap.begins_at))} to ${until}`, x, bbox.top + bbox.height * 0.4 + 16 * ratio);
}

/** Tokens resolved to what a canvas understands. */
function colours(element: HTMLElement): (token: string) => string {
  const known = new Map<string, string>();
  return (token) => {
    const found = known.get(token);
    if (found) return found;
    element.style.color = `var(${token})`;
    const colour = getComputedStyle(element).color;
    element.style.color = "";
    known.set(token, colour);
    return colour;
  };
}

function translucent(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, (_all, parts: string) =>
    parts.includes(",") ? `rgba(${parts}, ${BAND})` : `rgb(${parts} / ${BAND})`,
  );
}

/** Counts changes of theme, by the person or by the system: a canvas does not follow style sheets. */
function useThemeVersion(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const changed = () => setVersion((before) => before + 1);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", changed);
    const observer = new MutationObserver(changed);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      media.removeEventListener("change", changed);
      observer.disconnect();
    };
  }, []);
  return version;
}
