/** A row of pages that belong together: links, of which the router marks the one that is open. */
import type { ReactNode } from "react";
import css from "./tabs.module.css";

export function Tabs({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav className={css.tabs} aria-label={label}>
      {children}
    </nav>
  );
}
