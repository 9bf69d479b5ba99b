/** Beside the device: who is on it, where it hangs, how it is registered, what happened last. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Shown } from "../../api/client";
import { timelineQuery } from "../../api/queries";
import { Age, Span, Time } from "../../ui/age";
import { useNow } from "../../ui/clock";
import { Icon } from "../../ui/icon";
import { SeverityTag } from "../../ui/severity";
import { Timeline } from "../../ui/timeline";
import { duration, moment, until } from "../../ui/words";
import css from "./device.module.css";

type Screen = Shown["DeviceScreen"];
const LATEST = 6;

export function AlertsBeside({ alerts }: { alerts: Shown["AlertLine"][] }) {
  const now = useNow(60_000);
  return alerts.map((alert) => (
    <section key={alert.id} className={`card pad ${css.beside}`} aria-label={`Alert ${alert.code}`}>
      <div className="row">
        <SeverityTag severity={alert.severity} look={alert.look} />
        <Link to="/alerts/$alert" params={{ alert: alert.id }} className={css.alertLink}>
          Alert <code>#{alert.code}</code>
        </Link>
      </div>
      <p>{alert.headline}</p>
      <p className="small muted">
        {alert.state === "acknowledged" ? (
          <>
            <b className={css.strong}>{alert.taken_by || "Somebody"}</b> has it
            {alert.taken_until && ` until ${until(new Date(alert.taken_until), now)}`}
          </>
        ) : (
          <>
            Nobody yet, open for <Span since={alert.opened_at} />
          </>
        )}
      </p>
    </section>
  ));
}

export function PlaceBeside({ screen }: { screen: Screen }) {
  const { place } = screen.device;
  const { enclosure, claim } = screen;
  const watched = enclosure?.quantities.filter((each) => each.expected > 0) ?? [];
  const isSame = claim !== null && claim.enclosure === place.enclosure;
  return (
    <section className="card pad" aria-label="Place">
      <div className={css.besideHead}>
        <h2>Place</h2>
        <span className="space" />
        <Link to="/labels" search={{ device: screen.device.id }} className={`small ${css.tall}`}>
          Label
        </Link>
      </div>
      <dl className={css.facts}>
        <dt>Enclosure</dt>
        <dd>
          <b>{place.enclosure_name || "none"}</b>
          {place.farm_name && `, ${place.farm_name}`}
          {place.enclosure && (
            <>
              <br />
              <code className="muted">{place.enclosure}</code>
            </>
          )}
        </dd>
        <dt>Claimed</dt>
        <dd>
          {claim === null && "not said"}
          {claim !== null && isSame && (
            <span className="row">
              <Icon name="check" /> the same
            </span>
          )}
          {claim !== null && !isSame && <span className={css.bad}>{claim.enclosure_name}</span>}
        </dd>
        {enclosure && (
          <>
            <dt>Left here</dt>
            <dd>
              {watched.length === 0 && "nothing is watched here"}
              <ul>
                {watched.map((each) => (
                  <li key={each.quantity} className={each.alive < each.expected ? css.bad : undefined}>
                    {each.quantity} {each.alive} of {each.expected}
                  </li>
                ))}
              </ul>
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

export function RegistrationBeside({ screen }: { screen: Screen }) {
  const { registration } = screen;
  const now = useNow(60_000);
  if (!registration) {
    return (
      <section className="card pad" aria-label="Registration">
        <h2>Registration</h2>
        <p className="muted">Not registered.</p>
      </section>
    );
  }
  const expires = registration.expires_at ? new Date(registration.expires_at) : null;
  const isExpired = expires !== null && expires.getTime() < now;
  return (
    <section className="card pad" aria-label="Registration">
      <h2>Registration</h2>
      <dl className={css.facts}>
        <dt>State</dt>
        <dd>
          {isExpired && expires ? (
            <>
              expired <Time at={expires} text={moment(expires, now)} />
            </>
          ) : registration.registered_at ? (
            <>
              since <Age at={registration.registered_at} />
            </>
          ) : (
            "registered"
          )}
        </dd>
        <dt>Lifetime</dt>
        <dd>
          {duration(registration.lifetime_s * 1000)}
          {registration.is_queue_mode && ", queue mode"}
        </dd>
        <dt>Version</dt>
        <dd>
          LwM2M {registration.version}, binding {registration.binding}
        </dd>
        <dt>Security</dt>
        <dd className={registration.is_secure ? undefined : css.bad}>
          {registration.is_secure
            ? screen.security_mode.toUpperCase() || "secured"
            : "none: anybody could pretend to be it"}
          {screen.security_identity && (
            <>
              , identity <code>{screen.security_identity}</code>
            </>
          )}
        </dd>
        <dt>Address</dt>
        <dd>
          <code>{registration.address || "unknown"}</code>
        </dd>
      </dl>
    </section>
  );
}

export function TimelineBeside({ device }: { device: string }) {
  const { data } = useInfiniteQuery(timelineQuery(device));
  const items = data?.pages[0]?.items ?? [];
  if (items.length === 0) return null;
  return (
    <section className="card pad" aria-label="Latest">
      <div className={css.besideHead}>
        <h2>Timeline</h2>
        <span className="space" />
        <Link to="/devices/$device/timeline" params={{ device }} resetScroll={false} className="small">
          All
        </Link>
      </div>
      <Timeline items={items.slice(0, LATEST)} isCompact />
    </section>
  );
}
