/** How a device is: a shape, a word and a colour, never one of them alone. Grey when we cannot know. */
import { useFreshness } from "./freshness";
import { Icon, type IconName } from "./icon";
import css from "./status.module.css";

export type Status = "new" | "healthy" | "degraded" | "failing" | "silent";

const WORDS: Record<Status, string> = {
  new: "New",
  healthy: "Healthy",
  degraded: "Degraded",
  failing: "Failing",
  silent: "Silent",
};

type Shown = { icon: IconName; word: string };

/** What is drawn: asleep is a kind of healthy, and nothing keeps its colour on data that may be old. */
export function shown(status: Status, isAsleep: boolean, isStale: boolean): Shown {
  const word = isAsleep && status === "healthy" ? "Asleep" : WORDS[status];
  if (isStale) return { icon: "stale", word };
  return { icon: isAsleep && status === "healthy" ? "asleep" : status, word };
}

type Props = { status: Status; isAsleep?: boolean; isStale?: boolean };

export function StatusIcon({ status, isAsleep = false, isStale = false, size = 16 }: Props & { size?: number }) {
  const freshness = useFreshness();
  const { icon } = shown(status, isAsleep, isStale || freshness.isStale);
  return <Icon name={icon} size={size} className={css[icon]} />;
}

/** Shape and word. `data-health` is what the tests of meaning look at. */
export function StatusMark({ status, isAsleep = false, isStale = false }: Props) {
  const freshness = useFreshness();
  const { icon, word } = shown(status, isAsleep, isStale || freshness.isStale);
  return (
    <span className={css.mark} data-health={icon}>
      <Icon name={icon} className={css[icon]} />
      <span>{word}</span>
      {icon === "stale" && <span className="sr"> when last known</span>}
    </span>
  );
}

export function useStatusClass(status: Status, isAsleep = false, isStale = false): string | undefined {
  const freshness = useFreshness();
  return css[shown(status, isAsleep, isStale || freshness.isStale).icon];
}

export function Pill({ status, children }: { status: Status; children: React.ReactNode }) {
  const freshness = useFreshness();
  const look = freshness.isStale ? "stale" : status;
  return <span className={`${css.pill} ${css[look]} ${css[`${look}-tint`]}`}>{children}</span>;
}
