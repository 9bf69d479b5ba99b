/** Which keys and certificates end within 30 days: what has to be planned before devices cannot connect any more. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { why } from "../../api/client";
import { endingQuery } from "../../api/queries";
import { Ahead } from "../../ui/age";
import { Button } from "../../ui/button";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { clockTime } from "../../ui/words";
import css from "./ending.module.css";

export function EndingPage() {
  const query = useInfiniteQuery(endingQuery);
  const pages = query.data?.pages ?? [];
  const lines = pages.flatMap((page) => page.items);
  return (
    <Page title="Credentials that end soon" documentTitle="Credentials that end soon" at={pages[0]?.at}>
      <section className="card" aria-label="What ends within 30 days">
        {query.isError && (
          <Failed
            what="The credentials could not be loaded"
            why={why(query.error)}
            dataFrom={query.data ? clockTime(new Date(query.dataUpdatedAt)) : null}
            onRetry={() => void query.refetch()}
          />
        )}
        {query.isPending && <Skeleton rows={5} height={56} label="Loading what ends soon" />}
        {query.isSuccess && lines.length === 0 && (
          <Empty title="Nothing ends within 30 days.">
            <p>Keys and certificates appear here before devices cannot connect with them any more.</p>
          </Empty>
        )}
        <ul className={css.lines}>
          {lines.map((line) => (
            <li key={line.id}>
              <Link to="/devices/$device/credentials" params={{ device: line.device }} className={css.line}>
                <b>{line.endpoint || line.device}</b>
                <span>
                  {line.mode === "x509" ? "certificate" : "key"}{" "}
                  {line.state === "retiring" ? "gives way to a new one" : "ends"}{" "}
                  {line.expires_at && <Ahead at={line.expires_at} />}
                </span>
                <span className="space" />
                <span className={line.ends_soon ? css.soon : "muted"}>
                  {line.ends_soon ? "needs a new one" : "nothing to do"}
                </span>
              </Link>
            </li>
          ))}
        </ul>
        {query.hasNextPage && (
          <div className={css.more}>
            <Button isBusy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              More
            </Button>
          </div>
        )}
      </section>
    </Page>
  );
}
