/** Is it well; if not, why, how do we know, and what can I do now? */
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useParams } from "@tanstack/react-router";
import { type Shown, why } from "../../api/client";
import { deviceQuery } from "../../api/queries";
import { Failed, Skeleton } from "../../ui/notice";
import { Page } from "../../ui/page";
import { Tabs as TabRow } from "../../ui/tabs";
import { clockTime } from "../../ui/words";
import css from "./device.module.css";
import { AlertsBeside, PlaceBeside, RegistrationBeside, TimelineBeside } from "./device-aside";
import { DeviceChart } from "./device-chart";
import { DeviceState } from "./device-state";
import { Dispute } from "./dispute";
import { OtherServers } from "./other-servers";
import { Vitals } from "./vitals";

export function DevicePage() {
  const { device } = useParams({ from: "/inside/devices/$device" });
  const { data, error, isError, refetch, dataUpdatedAt } = useQuery(deviceQuery(device));
  const name = data?.device.name ?? device;
  return (
    <Page
      title={name}
      documentTitle={name}
      crumbs={<Crumbs screen={data} />}
      beside={
        <>
          {data && <span>{data.model || data.device.kind}</span>}
          <code>{device}</code>
        </>
      }
      at={data?.at}
    >
      {isError && (
        <div className={`card ${css.block}`}>
          <Failed
            what="This device could not be loaded"
            why={why(error)}
            dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
            onRetry={() => void refetch()}
          />
        </div>
      )}
      {data ? <Whole screen={data} /> : !isError && <Loading />}
    </Page>
  );
}

function Crumbs({ screen }: { screen: Shown["DeviceScreen"] | undefined }) {
  const place = screen?.device.place;
  return (
    <>
      <Link to="/">Fleet</Link>
      {place?.farm ? (
        <>
          {" › "}
          <Link to="/farms/$farm" params={{ farm: place.farm }}>
            {place.farm_name}
          </Link>
          {place.enclosure && (
            <>
              {" › "}
              <Link to="/farms/$farm" params={{ farm: place.farm }} hash={place.enclosure}>
                {place.enclosure_name}
              </Link>
            </>
          )}
        </>
      ) : (
        <>
          {" › "}
          <Link to="/devices">Devices</Link>
        </>
      )}
    </>
  );
}

function Loading() {
  return (
    <div className="card">
      <Skeleton rows={10} height={56} label="Loading the device" />
    </div>
  );
}

function Whole({ screen }: { screen: Shown["DeviceScreen"] }) {
  return (
    <div className={css.columns}>
      <div className={css.main}>
        <Dispute screen={screen} />
        <DeviceState screen={screen} />
        <div className="phone">
          <AlertsBeside alerts={screen.alerts} />
        </div>
        <Vitals screen={screen} />
        <DeviceChart device={screen.device.id} series={screen.series} lifetimeS={screen.registration?.lifetime_s} />
        <Tabs device={screen.device.id} />
        <Outlet />
      </div>
      <aside className={css.aside} aria-label="About this device">
        <div className="desktop">
          <AlertsBeside alerts={screen.alerts} />
        </div>
        <PlaceBeside screen={screen} />
        <RegistrationBeside screen={screen} />
        <OtherServers others={screen.others} />
        <div className="desktop">
          <TimelineBeside device={screen.device.id} />
        </div>
      </aside>
    </div>
  );
}

function Tabs({ device }: { device: string }) {
  const shared = { params: { device }, resetScroll: false, replace: true, search: true } as const;
  return (
    <TabRow label="More about this device">
      <Link to="/devices/$device" {...shared} activeOptions={{ exact: true, includeSearch: false }}>
        Objects
      </Link>
      <Link to="/devices/$device/timeline" {...shared} activeOptions={{ includeSearch: false }}>
        Timeline
      </Link>
      <Link to="/devices/$device/update" {...shared} activeOptions={{ includeSearch: false }}>
        Update
      </Link>
      <Link to="/devices/$device/credentials" {...shared} activeOptions={{ includeSearch: false }}>
        Credentials
      </Link>
    </TabRow>
  );
}
