/** What is wrong now, where, since when, why, and who is on it. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Shown, why } from "../../api/client";
import { endingQuery, fleetQuery } from "../../api/queries";
import { CoverageCell } from "../../ui/coverage-cell";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page, Section } from "../../ui/page";
import { clockTime, plural } from "../../ui/words";
import { Counts } from "./counts";
import { FarmCard } from "./farm-card";
import css from "./fleet.module.css";
import { WrongNow } from "./wrong-now";

/** Above this, farms with nothing to do fold away. */
const FARMS_SHOWN_MAX = 24;

export function FleetPage() {
  const { data, error, isError, refetch, dataUpdatedAt } = useQuery(fleetQuery);
  return (
    <Page
      title="Fleet"
      documentTitle="Fleet"
      at={data?.at}
      beside={
        data && (
          <span>
            {plural(data.farms_total, "farm")}, {plural(data.enclosures_total, "enclosure")},{" "}
            {plural(data.counts.devices, "device")}
            <EndingSoon />
          </span>
        )
      }
    >
      {isError && (
        <div className={`card ${css.failed}`}>
          <Failed
            what="The fleet could not be loaded"
            why={why(error)}
            dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
            onRetry={() => void refetch()}
          />
        </div>
      )}
      {data ? <Fleet fleet={data} /> : !isError && <Loading />}
    </Page>
  );
}

/** What has to be planned before devices cannot connect any more; nothing while there is nothing to plan. */
function EndingSoon() {
  const { data } = useInfiniteQuery(endingQuery);
  const soon = data?.pages.flatMap((page) => page.items).filter((line) => line.ends_soon).length ?? 0;
  if (soon === 0) return null;
  return (
    <>
      , <Link to="/credentials">{plural(soon, "credential ends", "credentials end")} soon</Link>
    </>
  );
}

function Loading() {
  return (
    <>
      <div className={`card ${css.countsLoading}`}>
        <Skeleton rows={1} height={84} label="Counting devices" />
      </div>
      <Section title="What is wrong now">
        <div className="card">
          <Skeleton rows={3} height={78} label="Loading alerts" />
        </div>
      </Section>
      <Section title="Farms">
        <div className="card">
          <Skeleton rows={3} height={120} label="Loading farms" />
        </div>
      </Section>
    </>
  );
}

function Fleet({ fleet }: { fleet: Shown["FleetScreen"] }) {
  if (fleet.farms_total === 0) {
    return (
      <div className="card">
        <Empty title="No farm yet.">
          <p>
            An integrator makes the first one: a farm, its enclosures, then devices. They appear here as they are heard.
          </p>
        </Empty>
      </div>
    );
  }
  return (
    <>
      <div className="desktop">
        <Counts counts={fleet.counts} />
      </div>
      <WrongNow group={fleet.needs_person} taken={fleet.taken_total} lastResolved={fleet.last_resolved} />
      <div className={`${css.countsAfter} phone`}>
        <Counts counts={fleet.counts} />
      </div>
      <Section title="Farms" beside={<Legend />}>
        <Farms farms={fleet.farms} />
      </Section>
    </>
  );
}

function Farms({ farms }: { farms: Shown["FarmCard"][] }) {
  const [areAllShown, showAll] = useState(false);
  const isLong = farms.length > FARMS_SHOWN_MAX && !areAllShown;
  const wrong = farms.filter((farm) => farm.status !== "healthy");
  const shown = isLong
    ? [...wrong, ...farms.filter((farm) => farm.status === "healthy")].slice(0, Math.max(wrong.length, 12))
    : farms;
  return (
    <>
      <ul className={css.farms}>
        {shown.map((farm) => (
          <FarmCard key={farm.id} farm={farm} />
        ))}
      </ul>
      {shown.length < farms.length && (
        <button type="button" className={css.fold} onClick={() => showAll(true)}>
          {plural(farms.length - shown.length, "more farm")} with nothing to do
        </button>
      )}
    </>
  );
}

function Legend() {
  const full = ["oxygen", "temperature", "salinity", "video"].map((quantity) => ({ quantity, alive: 1, expected: 1 }));
  const blind = full.map((bar, index) => ({ ...bar, alive: index === 0 ? 0 : 1 }));
  return (
    <>
      <span className="muted small">worst first</span>
      <span className="space" />
      <span className={`${css.legend} desktop`}>
        <CoverageCell label="" state="covered" bars={full} /> oxygen, temperature, salinity, video; filled = alive of
        expected
      </span>
      <span className={`${css.legend} desktop`}>
        <CoverageCell label="" state="blind" bars={blind} /> hollow = blind
      </span>
      <Link to="/devices" className={`${css.all} small desktop`}>
        All devices
      </Link>
    </>
  );
}
