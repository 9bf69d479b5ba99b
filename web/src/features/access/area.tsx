/** The pages about who may do what: their tabs, and one answer of the server for all of them. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { accessQuery } from "../../api/access";
import { Problem, type Shown, why } from "../../api/client";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { clockTime } from "../../ui/words";
import css from "./access.module.css";

export type Screen = Shown["AccessScreen"];

const TABS = [
  ["/people", "People"],
  ["/policies", "Policies"],
  ["/policies/why", "Why may X"],
] as const;

export function Tabs() {
  return (
    <nav className={css.tabs} aria-label="Who may do what">
      {TABS.map(([to, text]) => (
        <Link
          key={to}
          to={to}
          activeProps={{ className: css.on }}
          activeOptions={{ exact: true, includeSearch: false }}
        >
          {text}
        </Link>
      ))}
    </nav>
  );
}

export function Area({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ReactNode;
  children: (screen: Screen) => ReactNode;
}) {
  const { data, error, isError, refetch, dataUpdatedAt } = useQuery(accessQuery);
  const isRefused = error instanceof Problem && error.status === 403;
  return (
    <Page title={title} documentTitle={title} at={data?.at} actions={isRefused ? undefined : actions}>
      <Tabs />
      {isRefused && (
        <div className="card">
          <Empty title="People and policies are for administrators.">
            <p>
              What you may do yourself, and why, stands under <Link to="/policies/why">Why may X</Link>.
            </p>
          </Empty>
        </div>
      )}
      {isError && !isRefused && (
        <div className="card">
          <Failed
            what={`${title} could not be loaded`}
            why={why(error)}
            dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
            onRetry={() => void refetch()}
          />
        </div>
      )}
      {data && !isRefused && children(data)}
      {!data && !isError && (
        <div className="card">
          <Skeleton rows={5} height={60} label={`Loading ${title.toLowerCase()}`} />
        </div>
      )}
    </Page>
  );
}

export function Wrong({ error, not }: { error: unknown; not: string }) {
  const isOutdated = error instanceof Problem && error.type === "outdated";
  const reason = isOutdated
    ? ": somebody changed it since you opened it. Load the page to see theirs."
    : ` ${why(error)}`;
  return (
    <p className={css.wrong} role="alert">
      {not}
      {reason}
    </p>
  );
}
