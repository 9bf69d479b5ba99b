/** Labels with codes, for enclosures and devices: a sheet of A4 or one by one. What is printed is what is seen. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type Shown, why } from "../../api/client";
import { deviceQuery, devicesQuery, placesQuery } from "../../api/queries";
import { Button } from "../../ui/button";
import { FilterSelect } from "../../ui/field";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { QrCode } from "../../ui/qr";
import { plural } from "../../ui/words";
import css from "./labels.module.css";

type Label = { id: string; name: string; place: string; address: string };
type Format = "sheet" | "single";

/** Labels of 70 by 36 mm, three beside each other and eight beneath: what office suppliers sell by the hundred. */
const PER_SHEET = 24;

export function LabelsPage() {
  const search = useSearch({ from: "/inside/labels" });
  const navigate = useNavigate({ from: "/labels" });
  const { data: places, isError, error, refetch } = useQuery(placesQuery);
  const { labels, isPending, more } = useLabels(places?.farms ?? []);
  const format: Format = search.format ?? "sheet";
  const set = (change: typeof search) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return (
    <Page
      title="Labels"
      documentTitle="Labels"
      actions={
        <Button
          look="primary"
          blockedBy={labels.length === 0 ? "There is nothing to print." : null}
          onClick={() => print()}
        >
          Print
        </Button>
      }
    >
      <search className={css.choices}>
        {!search.device && (
          <>
            <FilterSelect
              label="Of"
              value={search.of ?? "enclosures"}
              onChange={(event) => set({ of: event.target.value === "devices" ? "devices" : undefined })}
            >
              <option value="enclosures">enclosures</option>
              <option value="devices">devices</option>
            </FilterSelect>
            <FilterSelect
              label="Farm"
              value={search.farm ?? ""}
              onChange={(event) => set({ farm: event.target.value || undefined })}
            >
              <option value="">all</option>
              {places?.farms.map((farm) => (
                <option key={farm.id} value={farm.id}>
                  {farm.name}
                </option>
              ))}
            </FilterSelect>
          </>
        )}
        <FilterSelect
          label="On"
          value={format}
          onChange={(event) => set({ format: event.target.value === "single" ? "single" : undefined })}
        >
          <option value="sheet">A4, 24 a sheet</option>
          <option value="single">one by one</option>
        </FilterSelect>
        {more && <Button onClick={more}>More devices</Button>}
      </search>
      {isError && <Failed what="The labels could not be made" why={why(error)} onRetry={() => void refetch()} />}
      {isPending && !isError && <Skeleton rows={6} label="Making the labels" />}
      {!isPending && labels.length === 0 && (
        <div className="card">
          <Empty title="Nothing is here yet that could have a label." />
        </div>
      )}
      {labels.length > 0 && (
        <p className={css.note}>
          {plural(labels.length, "label")}. The code of a device opens its page, that of an enclosure its place on the
          farm; none of them holds a key. Print without margins and at 100 %.
        </p>
      )}
      <Sheets labels={labels} format={format} />
    </Page>
  );
}

/** What the address asks for. */
function useLabels(farms: Shown["FarmPlaces"][]): { labels: Label[]; isPending: boolean; more: (() => void) | null } {
  const { of, farm, device } = useSearch({ from: "/inside/labels" });
  const one = useQuery({ ...deviceQuery(device ?? ""), enabled: device !== undefined });
  const many = useInfiniteQuery({ ...devicesQuery({ farm }), enabled: device === undefined && of === "devices" });
  if (device !== undefined) {
    return { labels: one.data ? [deviceLabel(one.data.device)] : [], isPending: one.isPending, more: null };
  }
  if (of === "devices") {
    const items = many.data?.pages.flatMap((page) => page.items) ?? [];
    const more = many.hasNextPage && !many.isFetching ? () => void many.fetchNextPage() : null;
    return { labels: items.map(deviceLabel), isPending: many.isPending, more };
  }
  const chosen = farms.filter((each) => farm === undefined || each.id === farm);
  return { labels: chosen.flatMap(enclosureLabels), isPending: farms.length === 0, more: null };
}

function deviceLabel({ id, name, place }: Shown["DeviceLine"]): Label {
  const where = [place.enclosure_name, place.farm_name].filter(Boolean).join(", ");
  return { id, name, place: where || "no enclosure", address: `${location.origin}/devices/${id}` };
}

function enclosureLabels(farm: Shown["FarmPlaces"]): Label[] {
  return farm.enclosures.map(({ id, name }) => ({
    id,
    name,
    place: farm.name,
    address: `${location.origin}/farms/${farm.id}#${id}`,
  }));
}

function Sheets({ labels, format }: { labels: Label[]; format: Format }) {
  if (format === "single") {
    return labels.map((label) => <LabelCard key={label.id} label={label} className={css.single} />);
  }
  const sheets = Array.from({ length: Math.ceil(labels.length / PER_SHEET) }, (_, number) => number * PER_SHEET);
  return sheets.map((from) => (
    <div key={from} className={css.sheet}>
      {labels.slice(from, from + PER_SHEET).map((label) => (
        <LabelCard key={label.id} label={label} className={css.cell} />
      ))}
    </div>
  ));
}

function LabelCard({ label, className }: { label: Label; className: string | undefined }) {
  return (
    <article className={`${css.label} ${className}`} aria-label={`Label of ${label.name}`}>
      <QrCode text={label.address} label={`Code of ${label.name}`} size="28mm" />
      <div className={css.words}>
        <b>{label.name}</b>
        <span>{label.place}</span>
        <code>{label.id}</code>
      </div>
    </article>
  );
}
