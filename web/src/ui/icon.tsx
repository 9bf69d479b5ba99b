/** Small drawings, 16 by 16, in the colour of the text around them. */
import type { ReactNode } from "react";

const stroke = {
  stroke: "currentColor",
  strokeWidth: 1.5,
  strokeLinecap: "round",
  strokeLinejoin: "round",
} as const;
const cut = { ...stroke, stroke: "var(--surface)", strokeWidth: 1.6 } as const;

const SHAPES = {
  healthy: (
    <>
      <circle cx="8" cy="8" r="6.5" fill="currentColor" />
      <path d="M5.2 8.2l2 2 3.6-4" {...cut} />
    </>
  ),
  degraded: (
    <>
      <path d="M8 1.8L15 14H1z" fill="currentColor" stroke="currentColor" strokeLinejoin="round" />
      <path d="M8 6v4M8 12v.1" {...cut} />
    </>
  ),
  failing: (
    <>
      <path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2L1.5 10.8V5.2z" fill="currentColor" />
      <path d="M5.7 5.7l4.6 4.6m0-4.6l-4.6 4.6" {...cut} />
    </>
  ),
  silent: (
    <>
      <path d="M13.6 5A6.4 6.4 0 1 1 11 2.4" {...stroke} />
      <path d="M3.6 12.4l9-9" {...stroke} />
    </>
  ),
  new: (
    <>
      <circle cx="8" cy="8" r="6.3" {...stroke} strokeDasharray="0.1 2.75" />
      <path d="M8 5.4v5.2M5.4 8h5.2" {...stroke} />
    </>
  ),
  asleep: <path d="M13.5 10.2A6 6 0 1 1 6.2 2.3a4.9 4.9 0 0 0 7.3 7.9z" fill="currentColor" />,
  stale: (
    <>
      <circle cx="8" cy="8" r="6.3" {...stroke} strokeDasharray="2 2.6" />
      <path d="M8 5v3.2l2 1.2" {...stroke} />
    </>
  ),
  fleet: <path d="M2 4h12M2 8h12M2 12h7" {...stroke} />,
  alerts: <path d="M4 11V7a4 4 0 0 1 8 0v4l1 1.5H3zM6.8 14h2.4" {...stroke} />,
  devices: (
    <>
      <rect x="4" y="2" width="8" height="12" rx="2" {...stroke} />
      <path d="M7 11.5h2" {...stroke} />
    </>
  ),
  escalation: <path d="M2 13h3v-3h3.500V7H12V4h2.500M12 1.500L14.500 4 12 6.500" {...stroke} />,
  scan: <path d="M2 5V2.500h2.500M11.500 2.500H14V5M14 11v2.500h-2.500M4.500 13.500H2V11M4 8h8" {...stroke} />,
  photo: (
    <>
      <rect x="1.500" y="4" width="13" height="9.500" rx="2" {...stroke} />
      <circle cx="8" cy="8.700" r="2.600" {...stroke} />
      <path d="M5.500 4l1-1.700h3l1 1.700" {...stroke} />
    </>
  ),
  shield: (
    <path d="M8 1.8l5.200 1.900v4.100c0 3.200-2.200 5.400-5.200 6.400-3-1-5.200-3.200-5.200-6.400V3.700z" {...stroke} />
  ),
  more: (
    <>
      <circle cx="3" cy="8" r="1.4" fill="currentColor" />
      <circle cx="8" cy="8" r="1.4" fill="currentColor" />
      <circle cx="13" cy="8" r="1.4" fill="currentColor" />
    </>
  ),
  chevron: <path d="M6 4l4 4-4 4" {...stroke} />,
  back: <path d="M10 3L5 8l5 5" {...stroke} />,
  close: <path d="M4 4l8 8m0-8l-8 8" {...stroke} />,
  search: (
    <>
      <circle cx="7" cy="7" r="4.5" {...stroke} />
      <path d="M10.5 10.5L14 14" {...stroke} />
    </>
  ),
  read: <path d="M8 2v8M5 7.500L8 10.500l3-3M3 13.500h10" {...stroke} />,
  check: <path d="M3 8.5l3.2 3L13 4.5" {...stroke} />,
  live: (
    <>
      <circle cx="8" cy="8" r="3" fill="currentColor" />
      <circle cx="8" cy="8" r="6" stroke="currentColor" opacity=".4" />
    </>
  ),
  move: <path d="M3 6h9l-2.5-2.5M13 10H4l2.5 2.5" {...stroke} />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof SHAPES;

export function Icon({ name, size = 16, className }: { name: IconName; size?: number; className?: string }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      aria-hidden="true"
      className={className}
      style={{ flex: "none" }}
    >
      {SHAPES[name]}
    </svg>
  );
}

export function Mark({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" style={{ flex: "none" }}>
      <rect width="24" height="24" rx="6" fill="var(--accent)" />
      <g fill="var(--on-accent)">
        <path d="M3.5 9.5q3.5-3.2 7 0l2-1.5v3l-2-1.5q-3.5 3.2-7 0z" />
        <path d="M10.5 6q3.5-3.2 7 0l2-1.5v3l-2-1.5q-3.5 3.2-7 0z" />
        <path d="M9 16q3.5-3.2 7 0l2-1.5v3L16 16q-3.500 3.200-7 0z" />
      </g>
    </svg>
  );
}
