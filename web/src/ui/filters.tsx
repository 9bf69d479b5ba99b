/** The row above a list that narrows it, and a filter that was chosen in the list itself. */
import type { ReactNode } from "react";
import css from "./filters.module.css";

export function Filters({ children }: { children: ReactNode }) {
  return <search className={css.filters}>{children}</search>;
}

export function Chosen({ label, value, clear }: { label: string; value: string; clear: () => void }) {
  return (
    <button type="button" className={css.chosen} onClick={clear}>
      <span className="muted">{label}</span> {value} <span aria-hidden="true">×</span>
      <span className="sr">, remove this filter</span>
    </button>
  );
}
