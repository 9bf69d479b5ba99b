/** Alerts that nobody has taken, worst first; the rest is counted and one tap away. */
import { Link } from "@tanstack/react-router";
import { useAcknowledge, useBlockedBy } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { Age, Span } from "../../ui/age";
import { Button } from "../../ui/button";
import { useFreshness } from "../../ui/freshness";
import { Icon } from "../../ui/icon";
import { Section } from "../../ui/page";
import { SeverityBar, SeverityTag } from "../../ui/severity";
import { NextTold } from "../../ui/told";
import { count } from "../../ui/words";
import css from "./wrong-now.module.css";

type Group = Shown["AlertGroup"];
type Line = Shown["AlertLine"];

export function WrongNow({
  group,
  taken,
  lastResolved = null,
  farm,
}: {
  group: Group;
  taken: number | null;
  lastResolved?: Line | null;
  farm?: string;
}) {
  const more = group.total === null ? null : group.total - group.alerts.length;
  return (
    <Section
      title="What is wrong now"
      beside={
        group.alerts.length > 0 && (
          <span className="muted small">
            {group.total === null ? "more than 100 need" : `${count(group.total)} need${group.total === 1 ? "s" : ""}`}{" "}
            a person
          </span>
        )
      }
    >
      <div className={`card ${css.list}`}>
        {group.alerts.length === 0 ? (
          <p className={css.calm}>
            <b>Nothing needs a person.</b>{" "}
            {lastResolved?.resolved_at && (
              <>
                Last one resolved <Age at={lastResolved.resolved_at} />:{" "}
                <Link to="/alerts/$alert" params={{ alert: lastResolved.id }}>
                  {lastResolved.headline}
                </Link>
              </>
            )}
          </p>
        ) : (
          <ul>
            {group.alerts.map((alert, index) => (
              <Wrong key={alert.id} alert={alert} isFirst={index === 0} />
            ))}
          </ul>
        )}
        <Link to="/alerts" search={farm ? { farm } : {}} className={css.foot}>
          <span>
            <b>{taken === null ? "More than 100" : count(taken)} taken</b>
            {more !== null && more > 0 && `, ${count(more)} more need a person`}
          </span>
          <span className={css.open}>Open alerts</span>
          <Icon name="chevron" className={css.chevron} />
        </Link>
      </div>
    </Section>
  );
}

function Wrong({ alert, isFirst }: { alert: Line; isFirst: boolean }) {
  const acknowledge = useAcknowledge();
  const blockedBy = useBlockedBy("acknowledge");
  const { isStale } = useFreshness();
  return (
    <li className={css.row}>
      <SeverityBar look={alert.look} />
      <div className={css.severity}>
        <SeverityTag severity={alert.severity} look={alert.look} />
      </div>
      <div className={css.text}>
        <Link to="/alerts/$alert" params={{ alert: alert.id }} className={css.headline}>
          {alert.headline}
        </Link>
        <p className={css.says}>{alert.says}</p>
        {acknowledge.isError && (
          <p className={css.wrong} role="alert">
            Not acknowledged {why(acknowledge.error)}
          </p>
        )}
      </div>
      <p className={css.since}>
        <Span since={alert.opened_at} className={css.age} />
        {alert.next_told ? (
          <NextTold told={alert.next_told} className={`${css.nobody} ${css.next}`} />
        ) : (
          <span className={css.nobody}>Nobody yet</span>
        )}
      </p>
      <Button
        look={isFirst ? "primary" : "normal"}
        className={css.act}
        isBusy={acknowledge.isPending || acknowledge.isSuccess}
        blockedBy={blockedBy ?? (isStale ? "The data may be old: wait until Shoal is live again." : null)}
        onClick={() => acknowledge.mutate({ alert: alert.id })}
      >
        {acknowledge.isPending || acknowledge.isSuccess ? "Taking it" : "Acknowledge"}
        <span className="sr"> {alert.headline}</span>
      </Button>
    </li>
  );
}
