/** The state as a sentence: what, since when, why, how we know, what comes next. */
import { Link } from "@tanstack/react-router";
import { Fragment } from "react";
import { useCancelCommand } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { Ahead, Span, Time } from "../../ui/age";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { Evidence } from "../../ui/evidence";
import { useFreshness } from "../../ui/freshness";
import { Pill, StatusIcon } from "../../ui/status";
import { capital, count, moment, plural, until } from "../../ui/words";
import css from "./device.module.css";
import { valueText } from "./value";

type Screen = Shown["DeviceScreen"];

export function DeviceState({ screen }: { screen: Screen }) {
  const { device, verdict } = screen;
  const { isStale } = useFreshness();
  const look =
    isStale || device.is_stale ? "stale" : device.status === "healthy" && device.is_asleep ? "asleep" : device.status;
  return (
    <section
      className={`card ${css.state}`}
      style={{ borderLeftColor: `var(--${look === "new" ? "accent" : look})` }}
      aria-label="State"
    >
      <div className={css.stateHead}>
        <StatusIcon status={device.status} isAsleep={device.is_asleep} isStale={device.is_stale} size={24} />
        <p className={css.headline}>
          <Headline device={device} />
        </p>
        {verdict && device.status !== "healthy" && (
          <Pill status={device.status}>{verdict.says || capital(device.cause)}</Pill>
        )}
        <span className="space" />
        <Heard device={device} />
      </div>
      {screen.needs_key && (
        <p role="status">
          <b>Needs a new key.</b> <span className="muted">Without one it cannot connect.</span>
        </p>
      )}
      {screen.refused && <Refused line={screen.refused} />}
      {verdict && <Evidence evidence={verdict.evidence} ruledOut={verdict.ruled_out} />}
      {!verdict && device.status !== "healthy" && device.status !== "new" && (
        <p className="muted">The cause is unknown; nothing was checked yet.</p>
      )}
      <Next screen={screen} />
    </section>
  );
}

/** Somebody who says to be this device is not let in: how often, from where, and what to do. */
function Refused({ line }: { line: Shown["SecurityLine"] }) {
  const now = useNow(60_000);
  const first = new Date(line.first_at);
  return (
    <p role="status">
      <b>Handshake refused: {line.title.toLowerCase()}</b>,{" "}
      {line.count === 1 ? "once at " : `${count(line.count)} times since `}
      <Time at={first} text={moment(first, now)} />
      {line.address && ` from ${line.address}`}. <span className="muted">{line.remedy}</span>{" "}
      <Link to="/security" search={line.device ? { device: line.device } : {}}>
        Security log
      </Link>
    </p>
  );
}

function Headline({ device }: { device: Shown["DeviceLine"] }) {
  const since = device.since ?? device.last_heard_at;
  switch (device.status) {
    case "silent":
      return since ? (
        <>
          Silent for <Span since={since} />
        </>
      ) : (
        <>Silent</>
      );
    case "failing":
      return since ? (
        <>
          Failing for <Span since={since} />
        </>
      ) : (
        <>Failing</>
      );
    case "degraded":
      return since ? (
        <>
          Degraded for <Span since={since} />
        </>
      ) : (
        <>Degraded</>
      );
    case "new":
      return <>New: never heard yet</>;
    case "healthy":
      return device.is_asleep ? <>Asleep as planned</> : <>Healthy</>;
  }
}

function Heard({ device }: { device: Shown["DeviceLine"] }) {
  const now = useNow();
  if (!device.last_heard_at) return <span className={css.heard}>never heard</span>;
  const heard = new Date(device.last_heard_at);
  const expected = device.next_expected_at ? new Date(device.next_expected_at) : null;
  const isLate = expected !== null && expected.getTime() < now;
  return (
    <span className={css.heard}>
      last heard <Time at={heard} text={moment(heard, now)} />
      {expected && isLate && (
        <>
          , due by <Time at={expected} text={moment(expected, now)} />
        </>
      )}
      {expected && !isLate && (
        <>
          , {device.is_asleep ? "wakes" : "expected"} <Ahead at={expected} />
        </>
      )}
    </span>
  );
}

function Next({ screen }: { screen: Screen }) {
  if (screen.waiting.length === 0) return null;
  return (
    <ul className={css.next} aria-label="Waiting commands">
      {screen.waiting.map((command) => (
        <Waiting key={command.id} command={command} device={screen.device.id} />
      ))}
    </ul>
  );
}

/** The words of the protocol that people do not use. */
const ASKED: Record<string, string> = {
  write_partial: "write",
  write_attributes: "set when it reports",
  observe: "report by itself",
  cancel_observation: "report no more",
  read_composite: "read at once",
  write_composite: "write at once",
  observe_composite: "report together",
  cancel_observation_composite: "report no more",
};
const PLAIN = { type: "", range: "", units: "" };
/** As many as a line has room for. */
const PATHS_SHOWN = 3;

type Command = Shown["CommandShown"];

/** Where, and what is written there: of a composite path by path. */
function About({ command: { operation, path, paths, value } }: { command: Command }) {
  const about = paths.length > 0 ? paths : [path];
  const values = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const more = about.length - PATHS_SHOWN;
  return (
    <>
      {about.slice(0, PATHS_SHOWN).map((each, at) => {
        const written = paths.length > 0 ? values[each] : value;
        return (
          <Fragment key={each}>
            {at > 0 && ", "}
            <code>{each}</code>
            {operation.startsWith("write") && written != null && <> = {valueText(written, PLAIN)}</>}
          </Fragment>
        );
      })}
      {more > 0 && ` and ${plural(more, "more path", "more paths")}`}
    </>
  );
}

export function Waiting({ command, device }: { command: Command; device: string }) {
  const cancel = useCancelCommand(device);
  const now = useNow(60_000);
  const asked = ASKED[command.operation] ?? command.operation;
  return (
    <li>
      <p>
        <b>Waiting for wake-up</b>{" "}
        <span className="muted">
          {asked} <About command={command} />
          {command.by && ` by ${command.by}`}
          {command.expires_at && `, expires ${until(new Date(command.expires_at), now)}`}
          {cancel.isError && <span role="alert"> Not cancelled {why(cancel.error)}</span>}
        </span>
      </p>
      <Button look="mini" isBusy={cancel.isPending} onClick={() => cancel.mutate(command.id)}>
        Cancel
        <span className="sr">
          {" "}
          {asked} {command.paths.length > 0 ? command.paths.join(", ") : command.path}
        </span>
      </Button>
    </li>
  );
}
