/** One alert: verdict and evidence, who was told, what happened, and what one can do. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useAcknowledge, useBlockedBy, useResolve } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { alertQuery } from "../../api/queries";
import { Ahead, Span, Time } from "../../ui/age";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { Dialog, DialogActions } from "../../ui/dialog";
import { Evidence } from "../../ui/evidence";
import { TextField } from "../../ui/field";
import { useFreshness } from "../../ui/freshness";
import { Icon } from "../../ui/icon";
import { useKeys } from "../../ui/keys";
import { Failed, Skeleton, Wrong } from "../../ui/notice";
import { SeverityBar, SeverityTag } from "../../ui/severity";
import { Timeline } from "../../ui/timeline";
import { ahead, capital, clockTime, moment, until } from "../../ui/words";
import css from "./detail.module.css";

type Screen = Shown["AlertScreen"];

export function AlertDetail({ alert }: { alert: string }) {
  const { data, error, isError, refetch, dataUpdatedAt } = useQuery(alertQuery(alert));
  return (
    <article className={`card ${css.detail}`} aria-label="Alert in front" aria-busy={!data && !isError}>
      <Link to="/alerts" search={true} className={`${css.back} phone`}>
        <Icon name="back" /> Alerts
      </Link>
      {isError && (
        <Failed
          what="This alert could not be loaded"
          why={why(error)}
          dataFrom={data ? clockTime(new Date(dataUpdatedAt)) : null}
          onRetry={() => void refetch()}
        />
      )}
      {data ? <Whole screen={data} /> : !isError && <Skeleton rows={6} height={56} label="Loading the alert" />}
    </article>
  );
}

function Whole({ screen }: { screen: Screen }) {
  const { alert, verdict } = screen;
  return (
    <>
      <div className={css.verdict}>
        <SeverityBar look={alert.look} />
        <div className={css.inside}>
          <div className="row">
            <SeverityTag severity={alert.severity} look={alert.look} />
            <code className="muted">#{alert.code}</code>
            <span className="space" />
            <Since alert={alert} />
          </div>
          <h2 className={css.headline}>{alert.headline}</h2>
          <Where place={alert.place} />
          <p className={css.says}>{verdict.says || capital(verdict.cause.replaceAll("-", " "))}</p>
          <Evidence evidence={verdict.evidence} ruledOut={verdict.ruled_out} />
        </div>
      </div>
      <Acts screen={screen} />
      <div className={css.rest}>
        <Told screen={screen} />
        {screen.timeline.length > 0 && (
          <section aria-label="What happened">
            <h3>What happened</h3>
            <Timeline items={screen.timeline} />
          </section>
        )}
      </div>
    </>
  );
}

function Since({ alert }: { alert: Shown["AlertLine"] }) {
  const now = useNow(60_000);
  const opened = new Date(alert.opened_at);
  return (
    <span className="small muted">
      since <Time at={opened} text={moment(opened, now)} />
      {alert.state !== "resolved" && (
        <>
          , <Span since={opened} />
        </>
      )}
    </span>
  );
}

function Where({ place }: { place: Shown["AlertPlace"] }) {
  return (
    <div className={css.where}>
      {place.farm && (
        <Link to="/farms/$farm" params={{ farm: place.farm }} hash={place.enclosure ?? ""}>
          {[place.farm_name || place.farm, place.enclosure_name].filter(Boolean).join(", ")}
        </Link>
      )}
      {place.device && (
        <Link to="/devices/$device" params={{ device: place.device }}>
          {place.endpoint || place.device}
        </Link>
      )}
    </div>
  );
}

function Acts({ screen }: { screen: Screen }) {
  const { alert } = screen;
  const [isAsked, setAsked] = useState<"acknowledge" | "resolve" | null>(null);
  const acknowledge = useAcknowledge();
  const resolve = useResolve();
  const notAllowed = useBlockedBy("acknowledge");
  const { isStale } = useFreshness();
  const now = useNow(60_000);
  const blockedBy = notAllowed ?? (isStale ? "The data may be old: wait until Shoal is live again." : null);
  const canAcknowledge = alert.state === "open" && blockedBy === null && !acknowledge.isPending;
  useKeys({ a: () => canAcknowledge && setAsked("acknowledge") });
  if (alert.state === "resolved") {
    return (
      <div className={css.acts}>
        <p>
          Resolved by <b>{alert.resolved_by || "itself: the condition is over"}</b>
          {alert.resolved_at && ` at ${moment(new Date(alert.resolved_at), now)}`}
          {screen.note && `: ${screen.note}`}
        </p>
      </div>
    );
  }
  return (
    <div className={css.acts}>
      {alert.state === "acknowledged" && (
        <p className={css.taken}>
          Taken by <b>{alert.taken_by || "somebody"}</b>
          {alert.taken_until && ` until ${until(new Date(alert.taken_until), now)}`}
          {screen.note && <span className="muted">: {screen.note}</span>}
        </p>
      )}
      <div className={css.buttons}>
        {alert.state === "open" && (
          <Button
            look="primary"
            blockedBy={blockedBy}
            isBusy={acknowledge.isPending}
            onClick={() => setAsked("acknowledge")}
          >
            {acknowledge.isPending ? "Taking it" : "Acknowledge"} <kbd>A</kbd>
          </Button>
        )}
        <Button blockedBy={blockedBy} isBusy={resolve.isPending} onClick={() => setAsked("resolve")}>
          Resolve
        </Button>
      </div>
      {blockedBy && <p className="small muted">{blockedBy}</p>}
      {acknowledge.isError && <Wrong>Not acknowledged {why(acknowledge.error)}</Wrong>}
      {resolve.isError && <Wrong>Not resolved {why(resolve.error)}</Wrong>}
      {isAsked === "acknowledge" && (
        <NoteDialog
          title={`Take #${alert.code}`}
          says="Nobody else is called while you have it."
          label="Note for the others (may be empty)"
          act="Acknowledge"
          onClose={() => setAsked(null)}
          onSend={(note) => acknowledge.mutate({ alert: alert.id, note })}
        />
      )}
      {isAsked === "resolve" && (
        <NoteDialog
          title={`Resolve #${alert.code}`}
          says="If the condition still holds, the alert comes back by itself."
          label="What was done"
          act="Resolve"
          isRequired
          onClose={() => setAsked(null)}
          onSend={(note) => resolve.mutate({ alert: alert.id, note })}
        />
      )}
    </div>
  );
}

function NoteDialog({
  title,
  says,
  label,
  act,
  isRequired = false,
  onClose,
  onSend,
}: {
  title: string;
  says: string;
  label: string;
  act: string;
  isRequired?: boolean;
  onClose: () => void;
  onSend: (note: string) => void;
}) {
  const [note, setNote] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onClose();
    onSend(note.trim());
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit} className={css.form}>
        <p className="muted">{says}</p>
        <TextField
          label={label}
          value={note}
          required={isRequired}
          maxLength={1000}
          autoComplete="off"
          onChange={(event) => setNote(event.target.value)}
        />
        <DialogActions>
          <Button onClick={onClose}>Leave it</Button>
          <Button look="primary" type="submit">
            {act}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function Told({ screen }: { screen: Screen }) {
  const now = useNow();
  const told = [...screen.told].sort((one, other) => (one.at ?? "").localeCompare(other.at ?? ""));
  return (
    <section aria-label="Who was told">
      <h3>Who was told, what is next</h3>
      <Frames screen={screen} />
      {told.length + screen.ahead.length === 0 && <p className="muted">Nobody was sent a message about this one.</p>}
      <ol className={css.ladder}>
        {told.map((line) => (
          <li key={`${line.to}${line.channel}${line.about}${line.at}${line.state}`} className={css.past}>
            {line.at && <Time at={line.at} text={moment(new Date(line.at), now)} className={css.when} />}
            <b>{line.to || "unknown"}</b>{" "}
            <span className="muted">
              {channel(line.channel)}
              {ABOUT[line.about] && `, ${ABOUT[line.about]}`}
            </span>{" "}
            <span className={line.state === "failed" ? css.failed : "muted"}>{stateOf(line.state)}</span>
            {line.detail && <span className="muted">: {line.detail}</span>}
          </li>
        ))}
        {screen.ahead.map((line, index) => (
          <li key={`${line.at}${line.to}`} className={css.ahead}>
            {line.at && <Time at={line.at} text={moment(new Date(line.at), now)} className={css.when} />}
            <b>{line.to || "nobody"}</b> <span className="muted">{line.detail || channel(line.channel)}</span>{" "}
            {index === 0 && line.at && (
              <span className={css.next}>
                <Ahead at={line.at} />
              </span>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** What a message was about, where it was not that the alert opened. */
const ABOUT: Record<string, string | undefined> = {
  acknowledged: "that it is taken",
  withdrawn: "that it needs somebody again",
  resolved: "that it is over",
};

/** The moment, and within the last hour how long that is; nothing is said twice. */
function By({ at }: { at: string }) {
  const now = useNow();
  const says = until(new Date(at), now);
  return (
    <>
      <Time at={at} text={says} />
      {ahead(new Date(at), now) !== says && (
        <>
          , <Ahead at={at} />
        </>
      )}
    </>
  );
}

/** By when somebody has to take it, or to resolve it; and who says so. */
function Frames({ screen }: { screen: Screen }) {
  const { alert } = screen;
  const due =
    alert.state === "open" ? screen.acknowledge_due : alert.state === "acknowledged" ? alert.taken_until : null;
  return (
    <>
      {due && (
        <p className={css.due}>
          {alert.state === "open" ? "To be taken by" : "To be resolved by"} <By at={due} />
        </p>
      )}
      {screen.policy && (
        <p className={`small muted ${css.due}`}>
          As{" "}
          <Link to="/escalation/$policy" params={{ policy: screen.policy }}>
            {screen.policy_name}
          </Link>{" "}
          said when it opened
        </p>
      )}
    </>
  );
}

function channel(name: string): string {
  return { sms: "SMS", email: "mail" }[name] ?? name;
}

/** "Sent" is all we know until the other side says more. */
function stateOf(state: string): string {
  switch (state) {
    case "failed":
      return "not delivered";
    case "dropped":
      return "no longer needed";
    default:
      return state;
  }
}
