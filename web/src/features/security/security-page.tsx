/** Who was not let in and what was refused: what is alike is one entry that counts. The filter is the address. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type Shown, why } from "../../api/client";
import { type SecurityFilter, securityQuery } from "../../api/queries";
import { Age, Time } from "../../ui/age";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { FilterSelect, SearchField } from "../../ui/field";
import { Chosen, Filters as FilterRow } from "../../ui/filters";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { clockTime, count, moment } from "../../ui/words";
import css from "./security.module.css";

export function SecurityPage() {
  const filter = useSearch({ from: "/inside/security" });
  const query = useInfiniteQuery(securityQuery(filter));
  const pages = query.data?.pages ?? [];
  const lines = pages.flatMap((page) => page.items);
  const dataFrom = query.dataUpdatedAt > 0 ? clockTime(new Date(query.dataUpdatedAt)) : null;
  return (
    <Page title="Security log" documentTitle="Security log" at={pages[0]?.at}>
      <Filters filter={filter} reasons={pages[0]?.reasons ?? []} lines={lines} />
      <section className="card" aria-label="What was refused">
        {query.isError && (
          <Failed
            what="The security log could not be loaded"
            why={why(query.error)}
            dataFrom={dataFrom}
            onRetry={() => void query.refetch()}
          />
        )}
        {query.isPending && <Skeleton rows={8} height={72} label="Loading the security log" />}
        {query.isSuccess && lines.length === 0 && <NoLines isFiltered={isFiltered(filter)} />}
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

function isFiltered(filter: SecurityFilter): boolean {
  return Object.values(filter).some((value) => value !== undefined);
}

const ALL: SecurityFilter = {
  q: undefined,
  reason: undefined,
  address: undefined,
  device: undefined,
  subject: undefined,
};

function Filters({
  filter,
  reasons,
  lines,
}: {
  filter: SecurityFilter;
  reasons: Shown["ReasonShown"][];
  lines: Shown["SecurityLine"][];
}) {
  const navigate = useNavigate({ from: "/security" });
  const set = (change: SecurityFilter) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: true });
  const device = lines.find((line) => line.device === filter.device)?.endpoint ?? filter.device;
  const subject = lines.find((line) => line.subject === filter.subject)?.who || filter.subject;
  return (
    <FilterRow>
      <SearchField
        label="Who, device or address"
        value={filter.q ?? ""}
        onSettled={(q) => set({ q: q || undefined })}
      />
      <FilterSelect
        label="Reason"
        value={filter.reason ?? ""}
        onChange={(event) => set({ reason: event.target.value || undefined })}
      >
        <option value="">any</option>
        {reasons.map(({ reason, title }) => (
          <option key={reason} value={reason}>
            {title}
          </option>
        ))}
      </FilterSelect>
      {filter.address && <Chosen label="from" value={filter.address} clear={() => set({ address: undefined })} />}
      {filter.device && <Chosen label="of" value={device ?? ""} clear={() => set({ device: undefined })} />}
      {filter.subject && <Chosen label="to" value={subject ?? ""} clear={() => set({ subject: undefined })} />}
      {isFiltered(filter) && (
        <Button look="quiet" onClick={() => set(ALL)}>
          Clear
        </Button>
      )}
    </FilterRow>
  );
}

function NoLines({ isFiltered }: { isFiltered: boolean }) {
  if (!isFiltered) {
    return (
      <Empty title="Nobody was turned away.">
        <p>
          A failed handshake, a refused request of a device, and what people and programs may not and asked for appear
          here, with the reason. Entries stay for 90 days.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="Nothing matches this filter.">
      <p>
        Entries stay for 90 days. <Link to="/security">Show everything</Link>
      </p>
    </Empty>
  );
}

function Line({ line, filter }: { line: Shown["SecurityLine"]; filter: SecurityFilter }) {
  return (
    <li className={css.line}>
      <p className={css.what}>
        <b>{line.title}</b>
        <Who line={line} filter={filter} />
        <span className="space" />
        <Age at={line.last_at} className="muted" />
      </p>
      {line.remedy && <p className={css.remedy}>{line.remedy}</p>}
      <p className={css.facts}>
        <Times line={line} />
        {line.address && (
          <span>
            from{" "}
            <Link to="/security" search={{ ...filter, address: line.address }} title="Everything from there">
              {line.address}
            </Link>
          </span>
        )}
        {line.kind === "refused" && (
          <span>
            its {line.operation} was answered {line.code || "with a refusal"}
          </span>
        )}
        {line.kind === "denied" && line.operation && (
          <span>
            asked to {line.operation}
            {line.place && ` at ${line.place}`}
          </span>
        )}
        {line.detail && (line.kind === "denied" ? <span>{line.detail}</span> : <code>{line.detail}</code>)}
      </p>
    </li>
  );
}

/** A device by its page, a person or a program by all that was refused to them, a stranger by what it called itself. */
function Who({ line, filter }: { line: Shown["SecurityLine"]; filter: SecurityFilter }) {
  if (line.subject) {
    return (
      <span>
        <Link to="/security" search={{ ...filter, subject: line.subject }} title="Everything refused to them">
          {line.who || line.subject}
        </Link>
        {line.is_rest && ", many other things"}
      </span>
    );
  }
  if (line.is_rest) return <span>{line.address ? "under many other names" : "many others"}</span>;
  if (line.device) {
    return (
      <span>
        <Link to="/devices/$device" params={{ device: line.device }}>
          {line.endpoint || line.device}
        </Link>
        {line.who !== line.endpoint && (
          <>
            , as <q>{line.who}</q>
          </>
        )}
      </span>
    );
  }
  return line.who ? <q>{line.who}</q> : <span className="muted">without a name</span>;
}

function Times({ line }: { line: Shown["SecurityLine"] }) {
  const now = useNow(60_000);
  const first = new Date(line.first_at);
  if (line.count === 1) return <span>once</span>;
  return (
    <span>
      <b>{count(line.count)} times</b> since <Time at={first} text={moment(first, now)} />
    </span>
  );
}
