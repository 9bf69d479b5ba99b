/** The pages about who may do what: their tabs, and one answer of the server for all of them. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { accessQuery } from "../../api/access";
import { Problem, type Shown, why } from "../../api/client";
import { Area as SharedArea } from "../../ui/area";
import { Empty, Wrong as Sentence } from "../../ui/notice";
import { Tabs as Row } from "../../ui/tabs";

export type Screen = Shown["AccessScreen"];

const TABS = [
  ["/people", "People"],
  ["/policies", "Policies"],
  ["/policies/why", "Why may X"],
] as const;

export function Tabs() {
  return (
    <Row label="Who may do what">
      {TABS.map(([to, text]) => (
        <Link key={to} to={to} activeOptions={{ exact: true, includeSearch: false }}>
          {text}
        </Link>
      ))}
    </Row>
  );
}

export function Area(page: { title: string; actions?: ReactNode; children: (screen: Screen) => ReactNode }) {
  const answer = useQuery(accessQuery);
  const isRefused = answer.error instanceof Problem && answer.error.status === 403;
  return (
    <SharedArea {...page} tabs={<Tabs />} answer={answer} why={why(answer.error)} refused={isRefused && <Refused />} />
  );
}

function Refused() {
  return (
    <Empty title="People and policies are for administrators.">
      <p>
        What you may do yourself, and why, stands under <Link to="/policies/why">Why may X</Link>.
      </p>
    </Empty>
  );
}

export function Wrong({ error, not }: { error: unknown; not: string }) {
  const isOutdated = error instanceof Problem && error.type === "outdated";
  const reason = isOutdated
    ? ": somebody changed it since you opened it. Load the page to see theirs."
    : ` ${why(error)}`;
  return (
    <Sentence>
      {not}
      {reason}
    </Sentence>
  );
}
