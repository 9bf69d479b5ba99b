/** The steps as a picture of time: who is told after how long. A wide stretch is a long wait. */
import css from "./escalation.module.css";
import { after, how } from "./said";

export type Told = { after_s: number; who: string[]; channels: string[]; at_once: boolean };

/** However long one waits, the others stay readable. */
const STRETCH_MAX = 4;

export function Picture({ steps, end }: { steps: Told[]; end: string }) {
  const waits = steps.slice(1).map((step, index) => Math.max(1, step.after_s - (steps[index]?.after_s ?? 0)));
  const shortest = Math.min(...waits);
  return (
    <ol className={css.picture} aria-label="Who is told after how long">
      {steps.map((step, index) => (
        <li
          // biome-ignore lint/suspicious/noArrayIndexKey: a step is its place in the order
          key={index}
          style={{ flexGrow: Math.min(STRETCH_MAX, (waits[index] ?? 1) / (waits[index] ? shortest : 1)) }}
        >
          <b>{after(step.after_s)}</b>
          <span className={css.who}>{step.who.join(", ") || "nobody yet"}</span>
          <span className="small muted">{how(step.channels, step.at_once)}</span>
        </li>
      ))}
      <li className={css.end}>
        <b>If nobody takes it</b>
        <span className="small muted">{end}</span>
      </li>
    </ol>
  );
}
