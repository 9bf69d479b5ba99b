/** What stands where content would: it loads, it failed, there is none. Each looks different. */
import { type ReactNode, useEffect, useState } from "react";
import { Button } from "./button";
import { Icon } from "./icon";
import css from "./notice.module.css";

/** Before this, a skeleton would only flicker. */
const PATIENCE_MS = 300;

/** Rows of the final height; they appear late and shift nothing. */
export function Skeleton({ rows, height = 44, label }: { rows: number; height?: number; label: string }) {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows that are all alike
        <div key={row} className={css.skeleton} style={{ height }}>
          {isLate && <span className={css.bone} style={{ width: `${72 - ((row * 17) % 38)}%` }} />}
        </div>
      ))}
    </div>
  );
}

export function Failed({
  what,
  why,
  dataFrom = null,
  onRetry,
}: {
  what: string;
  why: string;
  dataFrom?: string | null;
  onRetry: () => void;
}) {
  return (
    <div className={css.failed} role="alert">
      <Icon name="stale" />
      <p>
        <b>{what}</b> {why}
        {dataFrom && ` What you see is from ${dataFrom}.`}
      </p>
      <Button onClick={onRetry}>Try again</Button>
    </div>
  );
}

/** Why what was asked for was not done, beside what asked for it. */
export function Wrong({ children }: { children: ReactNode }) {
  return (
    <p className={css.wrong} role="alert">
      {children}
    </p>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={css.empty}>
      <p>
        <b>{title}</b>
      </p>
      {children}
    </div>
  );
}
