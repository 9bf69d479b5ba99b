/** The pages about whose certificates count: their tabs, and what they share. */
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Time } from "../../ui/age";
import { useNow } from "../../ui/clock";
import { Tabs as Row } from "../../ui/tabs";
import { date, duration } from "../../ui/words";
import css from "./trust.module.css";

export function Tabs() {
  return (
    <Row label="Whose certificates count">
      <Link to="/trust" activeOptions={{ exact: true, includeSearch: false }}>
        Trust anchors
      </Link>
      <Link to="/trust/authorities" activeOptions={{ includeSearch: false }}>
        Own authorities
      </Link>
    </Row>
  );
}

/** "Good until 12 Mar 2027"; near its end, "Ends in 41 d, on 12 Mar 2027". */
export function End({ at, isSoon = false }: { at: string; isSoon?: boolean }) {
  const now = useNow(60_000);
  const ends = new Date(at);
  const left = ends.getTime() - now;
  if (left <= 0) {
    return (
      <span className={css.bad}>
        Ended <Time at={ends} text={date(ends)} />
      </span>
    );
  }
  return isSoon ? (
    <span className={css.soon}>
      Ends in {duration(left)}, on <Time at={ends} text={date(ends)} />
    </span>
  ) : (
    <span>
      Good until <Time at={ends} text={date(ends)} />
    </span>
  );
}

export function Facts({ children }: { children: ReactNode }) {
  return <dl className={css.facts}>{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
