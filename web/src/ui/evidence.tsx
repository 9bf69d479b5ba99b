/** How we know: moments and sentences, newest first, then what was checked and ruled out. */
import { Time } from "./age";
import { useNow } from "./clock";
import css from "./evidence.module.css";
import { moment } from "./words";

export type EvidenceProps = { evidence: { at: string | null; says: string }[]; ruledOut: string[] };

export function Evidence({ evidence, ruledOut }: EvidenceProps) {
  const now = useNow(60_000);
  if (evidence.length === 0 && ruledOut.length === 0) return null;
  return (
    <dl className={css.list}>
      {evidence.map((line) => (
        <div key={`${line.at}${line.says}`} className={css.line}>
          <dt>{line.at ? <Time at={line.at} text={moment(new Date(line.at), now)} /> : "known"}</dt>
          <dd>{line.says}</dd>
        </div>
      ))}
      {ruledOut.length > 0 && (
        <div className={css.line}>
          <dt>ruled out</dt>
          <dd>{ruledOut.join(", ")}</dd>
        </div>
      )}
    </dl>
  );
}
