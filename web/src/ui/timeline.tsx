/** What happened, newest first, one plain sentence a row; the detail unfolds. */
import { Time } from "./age";
import { useNow } from "./clock";
import css from "./timeline.module.css";
import { moment } from "./words";

export type Happened = { id: string; at: string; kind: string; says: string; detail: string };

/** Kinds that somebody scanning the list should not miss. */
const LOUD: Record<string, string | undefined> = {
  status: css.silent,
  condition: css.degraded,
  opened: css.failing,
  overdue: css.failing,
  withdrawn: css.failing,
  failed: css.degraded,
  refused: css.degraded,
  security: css.failing,
};

export function Timeline({ items, isCompact = false }: { items: Happened[]; isCompact?: boolean }) {
  const now = useNow(60_000);
  return (
    <ol className={css.list}>
      {items.map((item) => (
        <li key={item.id} className={css.item}>
          <Time at={item.at} text={moment(new Date(item.at), now)} className={css.time} />
          <i className={`${css.dot} ${LOUD[item.kind] ?? ""}`} aria-hidden="true" />
          <div>
            <p>{item.says}</p>
            {item.detail && !isCompact && (
              <details className={css.detail}>
                <summary>Trace</summary>
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, so the keyboard must reach it */}
                <pre tabIndex={0}>{item.detail}</pre>
              </details>
            )}
          </div>
        </li>
      ))}
    </ol>
  );
}
