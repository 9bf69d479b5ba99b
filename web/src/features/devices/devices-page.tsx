// biome-ignore-all lint/a11y/useSemanticElements: a table element cannot hold rows that are placed by hand; the roles say what it is
// biome-ignore-all lint/a11y/useFocusableInteractive: rows and cells of a table are read, not operated
/** All devices that match, as the server counts and orders them. The filter is the address. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { type Shown, why } from "../../api/client";
import { type DeviceFilter, devicesQuery } from "../../api/queries";
import { Age, Span } from "../../ui/age";
import { Button } from "../../ui/button";
import { FilterSelect, SearchField } from "../../ui/field";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { usePhone } from "../../ui/phone";
import { StatusMark } from "../../ui/status";
import { capital, clockTime, count, quantity } from "../../ui/words";
import css from "./devices.module.css";

const ROW = 44;
const ROW_PHONE = 68;
const OVERSCAN = 8;
/** Rows before the end at which the next page is asked for. */
const AHEAD = 30;

export function DevicesPage() {
  const filter = useSearch({ from: "/inside/devices" });
  const query = useInfiniteQuery(devicesQuery(filter));
  const first = query.data?.pages[0];
  const last = query.data?.pages.at(-1);
  const rows = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page
      title="Devices"
      documentTitle="Devices"
      at={last?.at}
      beside={first && <Total screen={first} filter={filter} />}
    >
      <Filters filter={filter} farms={first?.farms ?? []} />
      {query.isError && (
        <div className={`card ${css.block}`}>
          <Failed
            what="Devices could not be loaded"
            why={why(query.error)}
            dataFrom={first ? clockTime(new Date(query.dataUpdatedAt)) : null}
            onRetry={() => void query.refetch()}
          />
        </div>
      )}
      {!first && !query.isError && (
        <div className="card">
          <Skeleton rows={12} label="Loading devices" />
        </div>
      )}
      {first && rows.length === 0 && <NoRows screen={first} filter={filter} />}
      {rows.length > 0 && (
        <Rows
          rows={rows}
          total={first?.total ?? null}
          isOld={query.isPlaceholderData}
          hasMore={query.hasNextPage}
          loadMore={() => {
            if (query.hasNextPage && !query.isFetching) void query.fetchNextPage();
          }}
        />
      )}
    </Page>
  );
}

function isFiltered(filter: DeviceFilter): boolean {
  return Object.values(filter).some((value) => value !== undefined);
}

function Total({ screen, filter }: { screen: Shown["DevicesScreen"]; filter: DeviceFilter }) {
  if (!isFiltered(filter)) return <span>{count(screen.all_total)}, by name</span>;
  if (screen.total === null) return <span>more than {count(screen.items.length)} match</span>;
  return (
    <span>
      {count(screen.total)} of {count(screen.all_total)}
    </span>
  );
}

function Filters({ filter, farms }: { filter: DeviceFilter; farms: Shown["FarmChoice"][] }) {
  const navigate = useNavigate({ from: "/devices" });
  const set = (change: DeviceFilter) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: true });
  const status = (value: string) =>
    set({ status: value === "" ? undefined : (value as NonNullable<DeviceFilter["status"]>) });
  return (
    <search className={css.filters}>
      <SearchField label="Name or id" value={filter.q ?? ""} onSettled={(q) => set({ q: q || undefined })} />
      <FilterSelect label="Status" value={filter.status ?? ""} onChange={(event) => status(event.target.value)}>
        <option value="">all</option>
        {["silent", "failing", "degraded", "new", "healthy"].map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </FilterSelect>
      <FilterSelect
        label="Farm"
        value={filter.farm ?? ""}
        onChange={(event) => set({ farm: event.target.value || undefined })}
      >
        <option value="">all</option>
        {farms.map((farm) => (
          <option key={farm.id} value={farm.id}>
            {farm.name}
          </option>
        ))}
      </FilterSelect>
      <FilterSelect
        label="Kind"
        value={filter.kind ?? ""}
        onChange={(event) => set({ kind: event.target.value || undefined })}
      >
        <option value="">all</option>
        <option value="sensor">sensor</option>
        <option value="camera">camera</option>
      </FilterSelect>
      {isFiltered(filter) && (
        <Button look="quiet" onClick={() => set({ farm: undefined, status: undefined, kind: undefined, q: undefined })}>
          Clear
        </Button>
      )}
    </search>
  );
}

function NoRows({ screen, filter }: { screen: Shown["DevicesScreen"]; filter: DeviceFilter }) {
  if (!isFiltered(filter)) {
    return (
      <div className="card">
        <Empty title="No device yet.">
          <p>Devices appear here once they are made by the API, and turn from new to healthy when they are heard.</p>
        </Empty>
      </div>
    );
  }
  const farm = screen.farms.find((each) => each.id === filter.farm)?.name ?? filter.farm;
  const said = [
    filter.kind && `kind ${filter.kind}`,
    filter.status && `status ${filter.status}`,
    farm && `farm ${farm}`,
    filter.q && `name or id “${filter.q}”`,
  ].filter(Boolean);
  return (
    <div className="card">
      <Empty title={`No device matches ${said.join(", ")}.`}>
        <p>
          {count(screen.all_total)} without the filter. <Link to="/devices">Clear</Link>
        </p>
      </Empty>
    </div>
  );
}

function Rows({
  rows,
  total,
  isOld,
  hasMore,
  loadMore,
}: {
  rows: Shown["DeviceLine"][];
  total: number | null;
  isOld: boolean;
  hasMore: boolean;
  loadMore: () => void;
}) {
  const list = useRef<HTMLDivElement>(null);
  const [margin, setMargin] = useState(0);
  const isPhone = usePhone();
  useLayoutEffect(() => {
    const top = list.current?.getBoundingClientRect().top ?? 0;
    setMargin(Math.round(top + scrollY));
  }, []);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => (isPhone ? ROW_PHONE : ROW),
    overscan: OVERSCAN,
    scrollMargin: margin,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a row has another height on a phone, so all are measured anew
  useEffect(() => virtual.measure(), [isPhone]);
  const items = virtual.getVirtualItems();
  const lastIndex = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && lastIndex >= rows.length - AHEAD) loadMore();
  }, [hasMore, lastIndex, rows.length, loadMore]);
  return (
    <>
      <div
        className={`card ${css.table} ${isOld ? css.old : ""}`}
        role="table"
        aria-label="Devices"
        aria-rowcount={(total ?? -2) + 1 || -1}
        aria-busy={isOld}
      >
        <div className={css.head} role="rowgroup">
          <div role="row" className={css.cells}>
            {["State", "Name", "Place", "Cause", "Last heard", "Battery", "Signal", "Firmware"].map((name) => (
              <span key={name} role="columnheader">
                {name}
              </span>
            ))}
          </div>
        </div>
        <div ref={list} role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {items.map((item) => {
            const device = rows[item.index];
            return device ? (
              <Row key={device.id} device={device} index={item.index} top={item.start - margin} height={item.size} />
            ) : null;
          })}
        </div>
      </div>
      {hasMore && (
        <p className={css.loading} role="status">
          Loading more
        </p>
      )}
    </>
  );
}

function Row({
  device,
  index,
  top,
  height,
}: {
  device: Shown["DeviceLine"];
  index: number;
  top: number;
  height: number;
}) {
  const { place } = device;
  const isOld = device.status === "silent" || device.is_stale;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={`${css.cells} ${css.row}`}
      style={{ transform: `translateY(${top}px)`, height }}
    >
      <span role="cell">
        <StatusMark status={device.status} isAsleep={device.is_asleep} isStale={device.is_stale} />
      </span>
      <span role="cell" className={css.name}>
        <Link to="/devices/$device" params={{ device: device.id }}>
          {device.name}
        </Link>
        {place.state !== "agreed" && <span className={css.disputed}>place disputed</span>}
      </span>
      <span role="cell" className={css.place}>
        {[place.farm_name, place.enclosure_name].filter(Boolean).join(", ") || "no place"}
      </span>
      <span role="cell" className={css.cause}>
        {device.cause ? capital(device.cause) : ""}
      </span>
      <span role="cell" className={css.heard}>
        {device.last_heard_at === null ? (
          "never heard"
        ) : device.status === "silent" ? (
          <b>
            <Span since={device.last_heard_at} />
          </b>
        ) : (
          <Age at={device.last_heard_at} />
        )}
      </span>
      <Vital of={device.battery_percent} unit="%" isOld={isOld} name="battery" />
      <Vital of={device.signal_dbm} unit="dBm" isOld={isOld} name="signal" />
      <Vital of={device.firmware_version} unit="" isOld={false} name="firmware" />
    </div>
  );
}

function Vital({
  of,
  unit,
  isOld,
  name,
}: {
  of: Shown["VitalShown"] | null;
  unit: string;
  isOld: boolean;
  name: string;
}) {
  return (
    <span role="cell" className={`${css.vital} ${isOld || !of ? "muted" : ""}`}>
      {of ? <span data-quantity={name}>{quantity(of.value, unit)}</span> : "not reported"}
    </span>
  );
}
