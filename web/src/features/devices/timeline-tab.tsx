/** Everything that happened to a device, refused and passed-over things included. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { why } from "../../api/client";
import { timelineQuery } from "../../api/queries";
import { Button } from "../../ui/button";
import { FilterSelect } from "../../ui/field";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Timeline } from "../../ui/timeline";
import css from "./device.module.css";

export function TimelineTab() {
  const { device } = useParams({ from: "/inside/devices/$device" });
  const [kind, setKind] = useState("");
  const query = useInfiniteQuery(timelineQuery(device));
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const kinds = [...new Set(items.map((item) => item.kind))].sort();
  const shown = kind ? items.filter((item) => item.kind === kind) : items;
  return (
    <section className="card pad" aria-label="Timeline">
      {kinds.length > 1 && (
        <div className={css.besideHead}>
          <FilterSelect label="Kind" value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">all</option>
            {kinds.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </FilterSelect>
        </div>
      )}
      {query.isError && (
        <Failed what="The timeline could not be loaded" why={why(query.error)} onRetry={() => void query.refetch()} />
      )}
      {query.isPending && <Skeleton rows={6} height={32} label="Loading the timeline" />}
      {query.isSuccess && items.length === 0 && <Empty title="Nothing has happened yet." />}
      <Timeline items={shown} />
      {query.hasNextPage && (
        <Button className={css.older} isBusy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Older
        </Button>
      )}
    </section>
  );
}
