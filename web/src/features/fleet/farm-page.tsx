/** Is this farm watched? Its enclosures with what each can still see, and its devices, worst first. */
import { useQuery } from "@tanstack/react-query";
import { Link, useLocation, useParams } from "@tanstack/react-router";
import { type Shown, why } from "../../api/client";
import { farmQuery } from "../../api/queries";
import { Age, Span } from "../../ui/age";
import { buttonClass } from "../../ui/button";
import { CoverageCell } from "../../ui/coverage-cell";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { Page, Section } from "../../ui/page";
import { StatusIcon, StatusMark, useStatusClass } from "../../ui/status";
import { clockTime, count, plural, quantity } from "../../ui/words";
import { Counts } from "./counts";
import css from "./farm.module.css";
import { WrongNow } from "./wrong-now";

export function FarmPage() {
  const { farm } = useParams({ from: "/inside/farms/$farm" });
  const { data, error, isError, refetch, dataUpdatedAt } = useQuery(farmQuery(farm));
  return (
    <Page
      title={data?.name ?? "Farm"}
      documentTitle={data?.name ?? "Farm"}
      crumbs={
        <>
          <Link to="/">Fleet</Link> › <span aria-current="page">{data?.name ?? farm}</span>
        </>
      }
      beside={
        <>
          {data && (
            <span>
              {plural(data.enclosures.length, "enclosure")}, {plural(data.counts.devices, "device")}
            </span>
          )}
          <code>{farm}</code>
        </>
      }
      at={data?.at}
      actions={
        <Link to="/labels" search={{ farm }} className={buttonClass()}>
          Labels
        </Link>
      }
    >
      {isError && (
        <div className={`card ${css.block}`}>
          <Failed
            what="This farm could not be loaded"
            why={why(error)}
            dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
            onRetry={() => void refetch()}
          />
        </div>
      )}
      {data ? <Farm farm={data} /> : !isError && <Loading />}
    </Page>
  );
}

function Loading() {
  return (
    <div className="card">
      <Skeleton rows={10} label="Loading the farm" />
    </div>
  );
}

function Farm({ farm }: { farm: Shown["FarmScreen"] }) {
  const colour = useStatusClass(farm.status);
  return (
    <>
      <p className={css.says}>
        <StatusIcon status={farm.status} size={20} />
        <span className={farm.status === "healthy" ? undefined : colour}>{farm.says}</span>
      </p>
      <Counts counts={farm.counts} farm={farm.id} />
      <WrongNow group={farm.needs_person} taken={farm.taken.total} farm={farm.id} />
      <Section title="Enclosures" beside={<span className="muted small">worst first; alive of expected</span>}>
        <Enclosures enclosures={farm.enclosures} />
      </Section>
      <Section
        title="Devices"
        beside={
          <Link to="/devices" search={{ farm: farm.id }} className={`${css.all} small`}>
            All {count(farm.counts.devices)} with filters
          </Link>
        }
      >
        <Devices farm={farm} />
      </Section>
    </>
  );
}

const STATE_SAYS: Record<Shown["Cell"]["state"], string> = {
  dark: "Dark",
  blind: "Blind",
  reduced: "Reduced",
  covered: "Covered",
  unwatched: "Nothing is watched",
};

function Enclosures({ enclosures }: { enclosures: Shown["Cell"][] }) {
  const { hash } = useLocation();
  if (enclosures.length === 0) {
    return (
      <div className="card">
        <Empty title="No enclosure yet." />
      </div>
    );
  }
  const columns = enclosures[0]?.quantities.map((each) => each.quantity) ?? [];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways in a narrow window, so the keyboard must reach it
    <section className={`card ${css.scroll}`} tabIndex={0} aria-label="Table of enclosures">
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">Enclosure</th>
            <th scope="col">State</th>
            {columns.map((name) => (
              <th key={name} scope="col">
                {name.charAt(0).toUpperCase() + name.slice(1)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {enclosures.map((cell) => (
            <tr key={cell.enclosure} id={cell.enclosure} className={hash === cell.enclosure ? css.picked : undefined}>
              <th scope="row">
                <span className={css.enclosure}>
                  <CoverageCell label="" state={cell.state} bars={cell.quantities} />
                  <span>
                    {cell.name}
                    <code>{cell.enclosure}</code>
                  </span>
                </span>
              </th>
              <td className={cell.state === "covered" ? "muted" : css[cell.state]}>{STATE_SAYS[cell.state]}</td>
              {cell.quantities.map((each) => (
                <td key={each.quantity} data-name={each.quantity}>
                  <Seen of={each} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Seen({ of }: { of: Shown["QuantityShown"] }) {
  if (of.expected === 0) return <span className="muted">not planned</span>;
  const isShort = of.alive < of.expected;
  return (
    <span className={css.seen}>
      <span className={of.alive === 0 ? css.blind : isShort ? css.reduced : undefined}>
        {of.alive} of {of.expected}
        {of.alive === 0 && ", blind"}
      </span>
      {of.alive > 0 && of.value !== null && <span data-quantity={of.quantity}>{quantity(of.value, of.unit)}</span>}
      {of.freshest_at && <Age at={of.freshest_at} className="muted small" />}
    </span>
  );
}

function Devices({ farm }: { farm: Shown["FarmScreen"] }) {
  if (farm.devices.length === 0) {
    return (
      <div className="card">
        <Empty title="No device yet." />
      </div>
    );
  }
  return (
    <div className={`card ${css.clip}`}>
      <ul>
        {farm.devices.map((device) => (
          <li key={device.id} className={css.device}>
            <StatusMark status={device.status} isAsleep={device.is_asleep} isStale={device.is_stale} />
            <Link to="/devices/$device" params={{ device: device.id }} className={css.name}>
              {device.name}
            </Link>
            <span className={css.where}>{device.place.enclosure_name}</span>
            <span className={css.cause}>{device.cause}</span>
            <span className={css.heard}>
              {device.last_heard_at ? (
                device.status === "silent" ? (
                  <>
                    not heard for <Span since={device.last_heard_at} />
                  </>
                ) : (
                  <Age at={device.last_heard_at} />
                )
              ) : (
                "never heard"
              )}
            </span>
          </li>
        ))}
      </ul>
      {farm.devices_next && (
        <Link to="/devices" search={{ farm: farm.id }} className={css.more}>
          More devices of this farm
        </Link>
      )}
    </div>
  );
}
