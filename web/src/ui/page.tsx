/** A page's head: where it is, its name, what is beside it, and the time of what it shows. */
import type { ReactNode } from "react";
import { useEffect } from "react";
import { useFreshness } from "./freshness";
import css from "./page.module.css";
import { clockTimeWithSeconds } from "./words";

export function Page({
  title,
  documentTitle,
  crumbs,
  beside,
  at,
  actions,
  children,
}: {
  title: ReactNode;
  documentTitle: string;
  crumbs?: ReactNode;
  beside?: ReactNode;
  at?: string | undefined;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const freshness = useFreshness();
  useEffect(() => {
    document.title = `${documentTitle} · Shoal`;
  }, [documentTitle]);
  return (
    <>
      {crumbs && (
        <nav className={css.crumbs} aria-label="Where you are">
          {crumbs}
        </nav>
      )}
      <header className={css.head}>
        <h1 tabIndex={-1}>{title}</h1>
        {beside && <span className={css.beside}>{beside}</span>}
        <span className="space" />
        {at && (
          <span className={`${css.at} ${freshness.isStale ? css.stale : ""}`}>
            {freshness.isStale ? "data from" : "as of"} {clockTimeWithSeconds(new Date(at))}
          </span>
        )}
        {actions}
      </header>
      {children}
    </>
  );
}

export function Section({ title, beside, children }: { title: string; beside?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <div className={css.section}>
        <h2>{title}</h2>
        {beside}
      </div>
      {children}
    </section>
  );
}
