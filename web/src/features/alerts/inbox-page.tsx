/** What needs me, who knows already, what happens next? A list, and beside it the alert in front. */
import { type InfiniteData, useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { type Shown, why } from "../../api/client";
import { alertsQuery } from "../../api/queries";
import { Age, Span } from "../../ui/age";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { FilterSelect } from "../../ui/field";
import { useKeys } from "../../ui/keys";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { SeverityBar, SeverityTag } from "../../ui/severity";
import { Tabs } from "../../ui/tabs";
import { NextTold } from "../../ui/told";
import { clockTime, count, until } from "../../ui/words";
import { AlertDetail } from "./alert-detail";
import css from "./inbox.module.css";

type Line = Shown["AlertLine"];
type Groups = { needs: Line[]; taken: Line[]; resolved: Line[] };

export function InboxPage() {
  const search = useSearch({ from: "/inside/alerts" });
  const { alert: chosen } = useParams({ strict: false });
  const isOver = search.state === "resolved";
  const query = useInfiniteQuery(alertsQuery(isOver ? "resolved" : "open", search.farm));
  const first = query.data?.pages[0];
  const groups = grouped(query.data, search.severity);
  const order = [...groups.needs, ...groups.taken, ...groups.resolved].map((line) => line.id);
  const inFront = useInFront(chosen, order);
  useMoveKeys(order, inFront);
  const openTotal = total(first?.needs_person, first?.taken);
  return (
    <div className={chosen ? css.withChosen : undefined}>
      <Page
        title="Alerts"
        documentTitle="Alerts"
        at={first?.at}
        beside={openTotal !== null && <span>{count(openTotal)} open</span>}
      >
        <div className={css.bar}>
          <Tabs label="Which alerts">
            <Tab state={undefined} isOn={!isOver} text="Open" number={openTotal} />
            <Tab state="resolved" isOn={isOver} text="Resolved" number={first?.resolved?.total ?? null} />
          </Tabs>
          <Filters query={query.data} />
        </div>
        <div className={css.panes}>
          <section className={`card ${css.list}`} aria-label="List of alerts">
            {query.isError && (
              <Failed
                what="Alerts could not be loaded"
                why={why(query.error)}
                dataFrom={first ? clockTime(new Date(query.dataUpdatedAt)) : null}
                onRetry={() => void query.refetch()}
              />
            )}
            {query.isPending && <Skeleton rows={6} height={76} label="Loading alerts" />}
            {first && <List groups={groups} first={first} isOver={isOver} inFront={inFront} />}
            {query.hasNextPage && (
              <p className={css.older}>
                <Button isBusy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                  Older
                </Button>
              </p>
            )}
          </section>
          {inFront && <AlertDetail key={inFront} alert={inFront} />}
        </div>
      </Page>
    </div>
  );
}

/** The alert that is read: the one of the address, or the first; and that one stays when the list moves around it. */
function useInFront(chosen: string | undefined, order: string[]): string | null {
  const [held, setHeld] = useState<string | null>(null);
  const inFront = chosen ?? order.find((id) => id === held) ?? order[0] ?? null;
  useEffect(() => setHeld(inFront), [inFront]);
  return inFront;
}

function total(...groups: (Shown["AlertGroup"] | undefined)[]): number | null {
  let sum = 0;
  for (const group of groups) {
    if (!group || group.total === null) return null;
    sum += group.total;
  }
  return sum;
}

function grouped(data: InfiniteData<Shown["AlertsScreen"]> | undefined, severity: string | undefined): Groups {
  const first = data?.pages[0];
  const wanted = (lines: Line[]) => (severity ? lines.filter((line) => line.severity === severity) : lines);
  if (first?.resolved) {
    return { needs: [], taken: [], resolved: wanted(data?.pages.flatMap((page) => page.resolved?.alerts ?? []) ?? []) };
  }
  return { needs: wanted(first?.needs_person.alerts ?? []), taken: wanted(first?.taken.alerts ?? []), resolved: [] };
}

function useMoveKeys(order: string[], inFront: string | null): void {
  const navigate = useNavigate();
  const move = (by: number) => {
    const at = inFront === null ? -1 : order.indexOf(inFront);
    const next = order[Math.min(order.length - 1, Math.max(0, at + by))];
    if (next)
      void navigate({ to: "/alerts/$alert", params: { alert: next }, search: true, replace: true, resetScroll: false });
  };
  useKeys({ j: () => move(1), k: () => move(-1) });
}

function Tab({
  state,
  isOn,
  text,
  number,
}: {
  state: "resolved" | undefined;
  isOn: boolean;
  text: string;
  number: number | null;
}) {
  return (
    <Link to="/alerts" search={(before) => ({ ...before, state })} aria-current={isOn ? "page" : undefined}>
      {text} {number !== null && <em>{count(number)}</em>}
    </Link>
  );
}

function Filters({ query }: { query: InfiniteData<Shown["AlertsScreen"]> | undefined }) {
  const search = useSearch({ from: "/inside/alerts" });
  const navigate = useNavigate();
  const lines =
    query?.pages.flatMap((page) => [
      ...page.needs_person.alerts,
      ...page.taken.alerts,
      ...(page.resolved?.alerts ?? []),
    ]) ?? [];
  const farms = new Map(
    lines.flatMap((line) => (line.place.farm ? [[line.place.farm, line.place.farm_name] as const] : [])),
  );
  const severities = [
    ...new Set([...lines.map((line) => line.severity), ...(search.severity ? [search.severity] : [])]),
  ];
  const set = (change: { farm?: string | undefined; severity?: string | undefined }) =>
    void navigate({ to: "/alerts", search: (before: object) => ({ ...before, ...change }), replace: true });
  return (
    <search className={css.filters}>
      <FilterSelect
        label="Farm"
        value={search.farm ?? ""}
        onChange={(event) => set({ farm: event.target.value || undefined })}
      >
        <option value="">all</option>
        {search.farm && !farms.has(search.farm) && <option value={search.farm}>{search.farm}</option>}
        {[...farms].map(([id, name]) => (
          <option key={id} value={id}>
            {name || id}
          </option>
        ))}
      </FilterSelect>
      <FilterSelect
        label="Severity"
        value={search.severity ?? ""}
        onChange={(event) => set({ severity: event.target.value || undefined })}
      >
        <option value="">all</option>
        {severities.map((severity) => (
          <option key={severity} value={severity}>
            {severity}
          </option>
        ))}
      </FilterSelect>
    </search>
  );
}

function List({
  groups,
  first,
  isOver,
  inFront,
}: {
  groups: Groups;
  first: Shown["AlertsScreen"];
  isOver: boolean;
  inFront: string | null;
}) {
  const search = useSearch({ from: "/inside/alerts" });
  const isEmpty = groups.needs.length + groups.taken.length + groups.resolved.length === 0;
  if (isEmpty && (search.farm || search.severity)) {
    return (
      <Empty title="No alert matches this filter.">
        <p>
          <Link to="/alerts" search={isOver ? { state: "resolved" } : {}}>
            Clear the filter
          </Link>
        </p>
      </Empty>
    );
  }
  if (isEmpty && isOver) return <Empty title="No alert was ever resolved here." />;
  if (isEmpty) {
    return (
      <Empty title="No alerts are open.">
        {first.last_resolved?.resolved_at && (
          <p>
            Last one resolved <Age at={first.last_resolved.resolved_at} />: {first.last_resolved.headline}
          </p>
        )}
      </Empty>
    );
  }
  return (
    <>
      {!isOver && (
        <Group
          title="Needs a person"
          lines={groups.needs}
          total={first.needs_person.total}
          inFront={inFront}
          calm="Nothing. All open alerts are taken."
        />
      )}
      {!isOver && groups.taken.length > 0 && (
        <Group title="Taken" lines={groups.taken} total={first.taken.total} inFront={inFront} />
      )}
      {isOver && (
        <Group title="Resolved" lines={groups.resolved} total={first.resolved?.total ?? null} inFront={inFront} />
      )}
      <p className={`${css.keys} desktop`}>
        <kbd>J</kbd> <kbd>K</kbd> move <kbd>A</kbd> acknowledge
      </p>
    </>
  );
}

function Group({
  title,
  lines,
  total,
  inFront,
  calm = "",
}: {
  title: string;
  lines: Line[];
  total: number | null;
  inFront: string | null;
  calm?: string;
}) {
  return (
    <>
      <h2 className={css.group}>
        {title} <span>{total === null ? `more than ${lines.length}` : count(total)}</span>
      </h2>
      {lines.length === 0 && <p className={css.calm}>{calm}</p>}
      <ul>
        {lines.map((line) => (
          <Row key={line.id} line={line} isInFront={line.id === inFront} />
        ))}
      </ul>
    </>
  );
}

function Row({ line, isInFront }: { line: Line; isInFront: boolean }) {
  const place = [line.place.farm_name, line.place.enclosure_name].filter(Boolean).join(", ");
  return (
    <li className={`${css.row} ${isInFront ? css.inFront : ""}`}>
      <SeverityBar look={line.look} />
      <div className={css.severity}>
        <SeverityTag severity={line.severity} look={line.look} />
        <code className="muted">#{line.code}</code>
      </div>
      <div className={css.text}>
        <Link
          to="/alerts/$alert"
          params={{ alert: line.id }}
          search={true}
          resetScroll={false}
          aria-current={isInFront ? "true" : undefined}
        >
          {line.headline}
        </Link>
        <p className="small muted">{[place, line.says].filter(Boolean).join(". ")}</p>
      </div>
      <Who line={line} />
      <Span since={line.opened_at} className={css.age} />
    </li>
  );
}

function Who({ line }: { line: Line }) {
  const now = useNow(60_000);
  switch (line.state) {
    case "open":
      return (
        <p className={css.who}>
          <b>Nobody yet</b>
          {line.next_told && <NextTold told={line.next_told} />}
        </p>
      );
    case "acknowledged":
      return (
        <p className={css.who}>
          <b>{line.taken_by || "Taken"}</b>
          {line.taken_until && <span>until {until(new Date(line.taken_until), now)}</span>}
        </p>
      );
    case "resolved":
      return (
        <p className={css.who}>
          <b>{line.resolved_by || "By itself"}</b>
          {line.resolved_at && <Age at={line.resolved_at} />}
        </p>
      );
  }
}
