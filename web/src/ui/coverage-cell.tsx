/** A small picture of what can still be seen somewhere: one bar a quantity, its height is alive of expected. */

import css from "./coverage-cell.module.css";
import { useFreshness } from "./freshness";

export type Bar = { quantity: string; alive: number; expected: number };
export type CellState = "dark" | "blind" | "reduced" | "covered" | "unwatched";

const STEP = 6;
const HEIGHT = 18;

export function CoverageCell({ label, state, bars }: { label: string; state: CellState; bars: Bar[] }) {
  const { isStale } = useFreshness();
  const width = bars.length * STEP - 1;
  return (
    <span className={`${css.cell} ${isStale ? css.stale : css[state]}`} aria-hidden="true">
      <svg viewBox={`0 0 ${width} 20`} width={width} height="20" fill="none" aria-hidden="true">
        {bars.map((bar, index) => (
          <OneBar key={bar.quantity} x={index * STEP + 0.5} bar={bar} isCalm={state === "covered" || isStale} />
        ))}
      </svg>
      {label}
    </span>
  );
}

function OneBar({ x, bar, isCalm }: { x: number; bar: Bar; isCalm: boolean }) {
  if (bar.expected === 0) return <path d={`M${x} 18.5h4`} stroke="var(--edge)" strokeDasharray="1 1.5" />;
  if (bar.alive === 0) {
    return (
      <>
        <rect x={x} y="1" width="4" height={HEIGHT} rx="1" stroke="currentColor" />
        <path d={`M${x + 0.6} 8.5l2.800 3m0-3l-2.800 3`} stroke="currentColor" />
      </>
    );
  }
  const height = (HEIGHT * Math.min(bar.alive, bar.expected)) / bar.expected;
  const isFull = bar.alive >= bar.expected;
  return (
    <>
      <rect x={x} y="1" width="4" height={HEIGHT} rx="1" fill="var(--line)" />
      <rect
        x={x}
        y={1 + HEIGHT - height}
        width="4"
        height={height}
        rx="1"
        fill={isFull || isCalm ? "var(--bar)" : "currentColor"}
      />
    </>
  );
}

/** The same in words: "oxygen 1 of 2, video 0 of 1". */
export function inWords(bars: Bar[]): string {
  const expected = bars.filter((bar) => bar.expected > 0);
  if (expected.length === 0) return "nothing is watched here";
  return expected.map((bar) => `${bar.quantity} ${bar.alive} of ${bar.expected}`).join(", ");
}
