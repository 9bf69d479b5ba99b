/** What a device measured. Range and series are in the address; the keys 1 to 5 set the range. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { type Shown, why } from "../../api/client";
import { type Range, readingsQuery } from "../../api/queries";
import { Age } from "../../ui/age";
import { Chart } from "../../ui/chart";
import { FilterSelect } from "../../ui/field";
import { useKeys } from "../../ui/keys";
import { Failed } from "../../ui/notice";
import { clockTime, quantity, unitWord } from "../../ui/words";
import css from "./device.module.css";

const RANGES: [Range, string][] = [
  ["1h", "1 h"],
  ["6h", "6 h"],
  ["24h", "24 h"],
  ["7d", "7 d"],
  ["30d", "30 d"],
];
const HEIGHT = 232;
/** Widths are rounded to this, so that a window that is dragged does not ask for readings at every pixel. */
const WIDTH_STEP = 200;

/** Whoever renews this often reports by the minute: a day of that is a line without a shape. */
const OFTEN_LIFETIME_S = 600;

export function DeviceChart({
  device,
  series,
  lifetimeS,
}: {
  device: string;
  series: Shown["Series"][];
  lifetimeS: number | undefined;
}) {
  const search = useSearch({ from: "/inside/devices/$device" });
  const navigate = useNavigate();
  const range = search.range ?? (lifetimeS !== undefined && lifetimeS <= OFTEN_LIFETIME_S ? "1h" : "24h");
  const chosen = series.find((each) => each.path === search.series) ?? series[0];
  const set = (change: { range?: Range; series?: string }) =>
    void navigate({
      to: ".",
      search: (before: object) => ({ ...before, ...change }),
      replace: true,
      resetScroll: false,
    });
  useKeys(Object.fromEntries(RANGES.map(([value], index) => [String(index + 1), () => set({ range: value })])));
  return (
    <section className={`card pad ${css.chart}`} aria-label="Readings">
      <div className={css.chartHead}>
        {chosen ? (
          <>
            <h2>{chosen.name}</h2>
            <span className="muted small">
              {unitWord(chosen.unit)}
              {chosen.unit && ", "}mean with lowest and highest
            </span>
          </>
        ) : (
          <h2>Readings</h2>
        )}
        <span className="space" />
        {series.length > 1 && (
          <FilterSelect label="Of" value={chosen?.path} onChange={(event) => set({ series: event.target.value })}>
            {series.map((each) => (
              <option key={each.path} value={each.path}>
                {each.name}
              </option>
            ))}
          </FilterSelect>
        )}
        <fieldset className={css.ranges}>
          <legend className="sr">Range</legend>
          {RANGES.map(([value, text]) => (
            <label key={value} className={value === range ? css.chosen : undefined}>
              <input
                type="radio"
                name="range"
                className="sr"
                checked={value === range}
                onChange={() => set({ range: value })}
              />
              {text}
            </label>
          ))}
        </fieldset>
      </div>
      {chosen ? (
        <Drawn device={device} series={chosen} range={range} />
      ) : (
        <p className={css.noSeries}>
          This device has not told what it measures: it registers its objects when it is heard.
        </p>
      )}
    </section>
  );
}

function Drawn({ device, series, range }: { device: string; series: Shown["Series"]; range: Range }) {
  const holder = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState<number | null>(null);
  useEffect(() => {
    const measured = holder.current?.clientWidth ?? WIDTH_STEP;
    setWidth(Math.max(WIDTH_STEP, Math.ceil(measured / WIDTH_STEP) * WIDTH_STEP));
  }, []);
  const query = useQuery({
    ...readingsQuery(device, series.path, range, width ?? WIDTH_STEP),
    enabled: width !== null,
  });
  const { data } = query;
  return (
    <div ref={holder} style={{ minHeight: HEIGHT + 48 }} aria-busy={query.isFetching}>
      {series.value !== null && series.at && (
        <p className={`${css.latest} phone`}>
          <b data-quantity={series.name}>{quantity(series.value, series.unit)}</b>{" "}
          <Age at={series.at} className="muted" />
        </p>
      )}
      {query.isError && (
        <Failed
          what="Readings could not be loaded"
          why={why(query.error)}
          dataFrom={data ? clockTime(new Date(query.dataUpdatedAt)) : null}
          onRetry={() => void query.refetch()}
        />
      )}
      {data && data.points.length === 0 && !query.isError && <p className={css.noSeries}>No readings in this range.</p>}
      {data && data.points.length > 0 && (
        <Chart
          name={series.name}
          unit={data.unit || series.unit}
          beginsAt={data.begins_at}
          endsAt={data.ends_at}
          points={data.points}
          gaps={data.gaps}
          height={HEIGHT}
        />
      )}
    </div>
  );
}
