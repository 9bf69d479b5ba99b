/** How old something is, or how far ahead; the exact time is a hover or a long press away. */
import { useNow } from "./clock";
import { ago, ahead, duration, exactly } from "./words";

type At = string | Date;

export function Age({ at, className }: { at: At; className?: string }) {
  const now = useNow();
  return <Time at={at} text={ago(asDate(at), now)} className={className} />;
}

/** The bare span since then: "2 h 41 min". */
export function Span({ since, className }: { since: At; className?: string }) {
  const now = useNow();
  return <Time at={since} text={duration(now - asDate(since).getTime())} className={className} />;
}

export function Ahead({ at, className }: { at: At; className?: string }) {
  const now = useNow();
  return <Time at={at} text={ahead(asDate(at), now)} className={className} />;
}

export function Time({ at, text, className }: { at: At; text: string; className?: string }) {
  const date = asDate(at);
  return (
    <time dateTime={date.toISOString()} title={exactly(date)} className={className}>
      {text}
    </time>
  );
}

function asDate(at: At): Date {
  return typeof at === "string" ? new Date(at) : at;
}
