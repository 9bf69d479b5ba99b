/** How many are how, as the server counted them. Each count leads to those devices. */
import { Link } from "@tanstack/react-router";
import type { Shown } from "../../api/client";
import { type Status, StatusIcon } from "../../ui/status";
import { capital, count } from "../../ui/words";
import css from "./fleet.module.css";

const OTHERS = ["degraded", "failing", "silent", "new"] as const;
const SAYS: Record<(typeof OTHERS)[number], string> = {
  degraded: "work, something is off",
  failing: "speak, cannot be used",
  silent: "not heard in time",
  new: "never heard yet",
};

export function Counts({ counts, farm }: { counts: Shown["CountsShown"]; farm?: string }) {
  return (
    <ul className={`card ${css.counts}`} aria-label="Devices by status">
      <Count status="healthy" farm={farm} number={counts.healthy}>
        {counts.asleep > 0 ? (
          <>
            <StatusIcon status="healthy" isAsleep size={14} /> {count(counts.asleep)} of them asleep as planned
          </>
        ) : (
          "heard in time, nothing open"
        )}
      </Count>
      {OTHERS.map((status) => (
        <Count key={status} status={status} farm={farm} number={counts[status]}>
          {counts[status] === 0 ? "none" : SAYS[status]}
        </Count>
      ))}
    </ul>
  );
}

function Count({
  status,
  number,
  farm,
  children,
}: {
  status: Status;
  number: number;
  farm: string | undefined;
  children: React.ReactNode;
}) {
  return (
    <li className={number === 0 && status !== "healthy" ? css.none : undefined}>
      <Link to="/devices" search={{ status, farm }} className={css.count}>
        <span className={css.what}>
          <StatusIcon status={status} /> {capital(status)}
        </span>
        <span className={css.number}>{count(number)}</span>
        <span className={css.says}>{children}</span>
      </Link>
    </li>
  );
}
