/** Who did what, when, from where, and what it was before. The filter is the address. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Problem, type Shown, why } from "../../api/client";
import { type AuditFilter, auditQuery } from "../../api/queries";
import { Age } from "../../ui/age";
import { Button } from "../../ui/button";
import { FilterSelect } from "../../ui/field";
import { Chosen, Filters as FilterRow } from "../../ui/filters";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { clockTime } from "../../ui/words";
import css from "./audit.module.css";

/** What can be filtered by, as it stands in the API's paths, and its word. */
const RESOURCES = [
  ["alerts", "alerts"],
  ["artifacts", "artifacts"],
  ["contacts", "contacts"],
  ["credentials", "device keys"],
  ["devices", "devices"],
  ["enclosures", "enclosures"],
  ["farms", "farms"],
  ["objects", "device objects"],
  ["policies", "policies"],
  ["profiles", "profiles"],
  ["sessions", "logins"],
  ["tokens", "tokens"],
  ["updates", "updates"],
  ["users", "people"],
] as const;

export function AuditPage() {
  const filter = useSearch({ from: "/inside/settings/audit" });
  const query = useInfiniteQuery(auditQuery(filter));
  const pages = query.data?.pages ?? [];
  const lines = pages.flatMap((page) => page.items);
  return (
    <Page title="Audit log" documentTitle="Audit log" at={pages[0]?.at}>
      <Filters filter={filter} lines={lines} />
      <section className="card" aria-label="What was done">
        {query.isError && <Refused error={query.error} at={query.dataUpdatedAt} retry={() => void query.refetch()} />}
        {query.isPending && <Skeleton rows={8} height={64} label="Loading the audit log" />}
        {query.isSuccess && lines.length === 0 && <NoLines filter={filter} />}
        <ol className={`${css.lines} ${query.isPlaceholderData ? css.old : ""}`} aria-busy={query.isPlaceholderData}>
          {lines.map((line) => (
            <Line key={line.id} line={line} filter={filter} />
          ))}
        </ol>
        {query.hasNextPage && (
          <div className={css.older}>
            <Button isBusy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              Older
            </Button>
          </div>
        )}
      </section>
    </Page>
  );
}

function Refused({ error, at, retry }: { error: Error; at: number; retry: () => void }) {
  if (error instanceof Problem && error.status === 403) {
    return (
      <Empty title="The audit log is for administrators.">
        <p>It tells who logged in from where. Ask one of them.</p>
      </Empty>
    );
  }
  const dataFrom = at > 0 ? clockTime(new Date(at)) : null;
  return <Failed what="The audit log could not be loaded" why={why(error)} dataFrom={dataFrom} onRetry={retry} />;
}

function isFiltered(filter: AuditFilter): boolean {
  return Object.values(filter).some((value) => value !== undefined);
}

function Filters({ filter, lines }: { filter: AuditFilter; lines: Shown["AuditLine"][] }) {
  const navigate = useNavigate({ from: "/settings/audit" });
  const set = (change: AuditFilter) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: true });
  const who = lines.find((line) => line.by === filter.by)?.by_name ?? filter.by;
  return (
    <FilterRow>
      <FilterSelect
        label="About"
        value={filter.resource ?? ""}
        onChange={(event) => set({ resource: event.target.value || undefined })}
      >
        <option value="">everything</option>
        {RESOURCES.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </FilterSelect>
      {filter.by && <Chosen label="by" value={who ?? ""} clear={() => set({ by: undefined })} />}
      {filter.thing && <Chosen label="on" value={filter.thing} clear={() => set({ thing: undefined })} />}
      {isFiltered(filter) && (
        <Button look="quiet" onClick={() => set({ by: undefined, thing: undefined, resource: undefined })}>
          Clear
        </Button>
      )}
    </FilterRow>
  );
}

function NoLines({ filter }: { filter: AuditFilter }) {
  if (!isFiltered(filter)) {
    return (
      <Empty title="Nothing was changed yet.">
        <p>Every change by a person or a program appears here, with what it was before.</p>
      </Empty>
    );
  }
  return (
    <Empty title="Nothing matches this filter.">
      <p>
        Older entries may have been deleted already. <Link to="/settings/audit">Show everything</Link>
      </p>
    </Empty>
  );
}

function Line({ line, filter }: { line: Shown["AuditLine"]; filter: AuditFilter }) {
  return (
    <li className={css.line}>
      <p className={css.what}>
        <b>{line.says}</b>
        {line.name && <span>{line.name}</span>}
        {line.thing && <Thing thing={line.thing} filter={filter} />}
      </p>
      {line.changes.length > 0 && <Changes changes={line.changes} />}
      <p className={css.who}>
        <Link to="/settings/audit" search={{ ...filter, by: line.by }} title="Everything by this one">
          {line.by_name}
        </Link>
        {line.address && <span>from {line.address}</span>}
        <Age at={line.at} />
        <code>{line.path}</code>
      </p>
    </li>
  );
}

/** What it was done to: its own page where it has one, and everything else that was done to it. */
function Thing({ thing, filter }: { thing: string; filter: AuditFilter }) {
  return (
    <>
      <Link to="/settings/audit" search={{ ...filter, thing }} title="Everything that was done to it">
        <code>{thing}</code>
      </Link>
      {thing.startsWith("dev-") && (
        <Link to="/devices/$device" params={{ device: thing }}>
          its page
        </Link>
      )}
    </>
  );
}

function Changes({ changes }: { changes: Shown["FieldChange"][] }) {
  return (
    <dl className={css.changes}>
      {changes.map((change) => (
        <div key={change.field}>
          <dt>{change.field}</dt>
          <dd>
            {change.before !== null && (
              <>
                <span className="sr">was </span>
                <del>{change.before}</del>
              </>
            )}
            {change.after !== null ? <ins>{change.after}</ins> : change.before !== null && <span>now none</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
