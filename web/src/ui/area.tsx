/** One of several pages that share one answer of the server: their tabs, and what stands there until it has come. */
import type { ReactNode } from "react";
import css from "./area.module.css";
import { Failed, Skeleton } from "./notice";
import { Page } from "./page";
import { clockTime } from "./words";

type Answer<Screen> = {
  data: Screen | undefined;
  isError: boolean;
  dataUpdatedAt: number;
  refetch: () => unknown;
};

export function Area<Screen extends { at: string }>({
  title,
  tabs,
  answer,
  why,
  refused = null,
  actions,
  children,
}: {
  title: string;
  tabs: ReactNode;
  answer: Answer<Screen>;
  /** Why there is no answer, as the end of a sentence. */
  why: string;
  /** What to say instead of everything to who may not look. */
  refused?: ReactNode;
  actions?: ReactNode;
  children: (screen: Screen) => ReactNode;
}) {
  const { data, isError, dataUpdatedAt, refetch } = answer;
  return (
    <Page title={title} documentTitle={title} at={data?.at} actions={refused ? undefined : actions}>
      {tabs}
      {refused && <div className="card">{refused}</div>}
      {isError && !refused && (
        <div className={`card ${css.failed}`}>
          <Failed
            what={`${title} could not be loaded`}
            why={why}
            dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
            onRetry={() => void refetch()}
          />
        </div>
      )}
      {data && !refused && children(data)}
      {!data && !isError && (
        <div className="card">
          <Skeleton rows={5} height={68} label={`Loading ${title.toLowerCase()}`} />
        </div>
      )}
    </Page>
  );
}
