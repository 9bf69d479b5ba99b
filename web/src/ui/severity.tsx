/** How bad an alert is: a bar at the left of its row, and the word. Severity is not status. */
import css from "./severity.module.css";
import { capital } from "./words";

export type Look = "critical" | "high" | "warning" | "informational";

export function SeverityTag({ severity, look }: { severity: string; look: Look }) {
  return <span className={`${css.tag} ${css[look]}`}>{capital(severity)}</span>;
}

export function SeverityBar({ look }: { look: Look }) {
  return <span className={`${css.bar} ${css[`${look}-bar`]}`} aria-hidden="true" />;
}
