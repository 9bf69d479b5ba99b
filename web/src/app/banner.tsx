/** Above everything when monitoring itself is late: nothing below may be believed as current. */
import { useEffect, useRef, useState } from "react";
import { Icon } from "../ui/icon";
import { clockTime } from "../ui/words";
import css from "./layout.module.css";

/** Long enough to be read by somebody who was looking elsewhere. */
const CAUGHT_UP_MS = 60_000;

export function Banner({ delayedSince }: { delayedSince: string | null }) {
  const was = useRef(delayedSince);
  const [caughtUpAt, setCaughtUpAt] = useState<Date | null>(null);
  useEffect(() => {
    const isOver = was.current !== null && delayedSince === null;
    was.current = delayedSince;
    if (!isOver) return;
    setCaughtUpAt(new Date());
    const timer = setTimeout(() => setCaughtUpAt(null), CAUGHT_UP_MS);
    return () => clearTimeout(timer);
  }, [delayedSince]);
  return (
    <div role="status" className={css.banners}>
      {delayedSince !== null && (
        <p className={css.delayed}>
          <Icon name="stale" />
          <span>
            <b>Monitoring delayed since {clockTime(new Date(delayedSince))}.</b> Silence cannot be judged until it
            catches up. Known problems stay below.
          </span>
        </p>
      )}
      {delayedSince === null && caughtUpAt !== null && (
        <p className={css.caughtUp}>
          <Icon name="check" />
          <span>
            <b>Caught up {clockTime(caughtUpAt)}.</b> Nothing was missed.
          </span>
        </p>
      )}
    </div>
  );
}
