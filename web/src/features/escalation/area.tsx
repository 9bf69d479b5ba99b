/** The pages about who is told: what they share is the question, the tabs, and one answer of the server. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Shown, why } from "../../api/client";
import { escalationQuery } from "../../api/queries";
import { Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { clockTime } from "../../ui/words";
import css from "./escalation.module.css";

export type Screen = Shown["EscalationScreen"];

const TABS = [
  ["/escalation", "Policies"],
  ["/settings/contacts", "Contacts"],
  ["/settings/channels", "Channels"],
] as const;

export function Area({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ReactNode;
  children: (screen: Screen) => ReactNode;
}) {
  const { data, error, isError, refetch, dataUpdatedAt } = useQuery(escalationQuery);
  return (
    <Page title={title} documentTitle={title} at={data?.at} actions={actions}>
      <nav className={css.tabs} aria-label="Who is told">
        {TABS.map(([to, text]) => (
          <Link key={to} to={to} activeProps={{ className: css.on }} activeOptions={{ includeSearch: false }}>
            {text}
          </Link>
        ))}
      </nav>
      {isError && (
        <div className={`card ${css.block}`}>
          <Failed
            what={`${title} could not be loaded`}
            why={why(error)}
            dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
            onRetry={() => void refetch()}
          />
        </div>
      )}
      {data
        ? children(data)
        : !isError && (
            <div className="card">
              <Skeleton rows={5} height={76} label={`Loading ${title.toLowerCase()}`} />
            </div>
          )}
    </Page>
  );
}

export function Wrong({ children }: { children: ReactNode }) {
  return (
    <p className={css.wrong} role="alert">
      {children}
    </p>
  );
}
