/** Firmware and models: what runs, what is on its way and how far, what could be next. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useBlockedBy, useCancelUpdate, useStartUpdate } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { updatesQuery } from "../../api/queries";
import { Age, Ahead } from "../../ui/age";
import { Button } from "../../ui/button";
import { SelectField } from "../../ui/field";
import { Empty, Failed, Skeleton } from "../../ui/notice";
import { bytes } from "../../ui/words";
import css from "./update.module.css";

type Update = Shown["UpdateShown"];

export function UpdateTab() {
  const { device } = useParams({ from: "/inside/devices/$device" });
  const query = useQuery(updatesQuery(device));
  const { data } = query;
  return (
    <>
      {query.isError && (
        <div className="card">
          <Failed what="Updates could not be loaded" why={why(query.error)} onRetry={() => void query.refetch()} />
        </div>
      )}
      {query.isPending && (
        <div className="card">
          <Skeleton rows={3} height={64} label="Loading updates" />
        </div>
      )}
      {data && (
        <>
          <Start device={device} screen={data} />
          <section className={`card ${css.list}`} aria-label="Updates">
            {data.updates.length === 0 ? (
              <Empty title="This device was never updated from here." />
            ) : (
              <ul>
                {data.updates.map((update) => (
                  <One key={update.id} device={device} update={update} />
                ))}
              </ul>
            )}
          </section>
        </>
      )}
    </>
  );
}

/** One click begins it: what will happen stands beside the button, and it can be stopped until it installs. */
function Start({ device, screen }: { device: string; screen: Shown["UpdatesScreen"] }) {
  const start = useStartUpdate(device);
  const blockedBy = useBlockedBy();
  const [picked, setPicked] = useState<string | null>(null);
  const chosen =
    screen.artifacts.find((each) => each.id === picked) ?? screen.artifacts.find((each) => !runs(screen, each));
  const under = screen.updates.find((update) => !update.is_over);
  const reason =
    blockedBy ??
    (under ? `${under.name} ${under.version} is ${stateText(under.state)}: one update at a time.` : null) ??
    (chosen ? null : "Choose what to install first.");
  return (
    <section className={`card pad ${css.start}`} aria-label="Start an update">
      <Running screen={screen} />
      {screen.artifacts.length === 0 ? (
        <p className="muted">No artifact for this kind of device was uploaded yet.</p>
      ) : (
        <div className={css.choose}>
          <SelectField label="Install" value={chosen?.id ?? ""} onChange={(event) => setPicked(event.target.value)}>
            {!chosen && <option value="">choose an artifact</option>}
            {screen.artifacts.map((each) => (
              <option key={each.id} value={each.id}>
                {each.kind} {each.name} {each.version}
                {each.size === null ? "" : `, ${bytes(each.size)}`}
                {runs(screen, each) ? ", runs now" : ""}
              </option>
            ))}
          </SelectField>
          <Button
            look="primary"
            blockedBy={reason}
            isBusy={start.isPending}
            onClick={() => chosen && start.mutate(chosen.id)}
          >
            {chosen ? `Install ${chosen.name} ${chosen.version}` : "Install"}
          </Button>
        </div>
      )}
      {chosen && !under && !blockedBy && (
        <p className="small muted">
          The device fetches {chosen.size === null ? "it" : bytes(chosen.size)} when it is awake, installs it, restarts,
          and is watched until it has proved itself. Until it installs, it can be stopped.
        </p>
      )}
      {reason && (under || blockedBy) && <p className="small muted">{reason}</p>}
      {start.isError && (
        <p className={css.wrong} role="alert">
          Not started {why(start.error)}
        </p>
      )}
    </section>
  );
}

function Running({ screen }: { screen: Shown["UpdatesScreen"] }) {
  return (
    <dl className={css.running}>
      <div>
        <dt>Firmware</dt>
        <dd>{screen.running || "not reported"}</dd>
      </div>
      {screen.running_model && (
        <div>
          <dt>Model</dt>
          <dd>{screen.running_model}</dd>
        </div>
      )}
    </dl>
  );
}

function runs(screen: Shown["UpdatesScreen"], { kind, version }: Shown["ArtifactShown"]): boolean {
  return version === (kind === "model" ? screen.running_model : screen.running);
}

/** Where an update is on its way; the ends stand apart. */
const WAY = ["waiting", "resetting", "downloading", "downloaded", "installing", "confirmed"];
/** From here on the device has been asked, and cannot be called back. */
const ASKED = "installing";
const BAD = ["failed", "rolled-back", "needs-attention"];

export function stateText(state: string): string {
  return state.replaceAll("-", " ");
}

function One({ device, update }: { device: string; update: Update }) {
  const cancel = useCancelUpdate(device);
  const blockedBy = useBlockedBy();
  const share = update.size ? Math.min(1, (update.bytes ?? 0) / update.size) : null;
  const step = WAY.indexOf(update.state);
  return (
    <li className={css.update}>
      <div className={css.updateHead}>
        <b>
          {update.name} {update.version}
        </b>
        {update.from_version && <span className="small muted">from {update.from_version}</span>}
        <span className={`${css.tag} ${BAD.includes(update.state) ? css.badTag : update.is_over ? "" : css.liveTag}`}>
          {stateText(update.state)}
        </span>
        <span className="space" />
        <span className="small muted">
          {update.by && `${update.by}, `}
          {update.started_at && <Age at={update.started_at} />}
        </span>
      </div>
      {!update.is_over && (
        <ol className={css.way} aria-label="Way of the update">
          {WAY.map((each, index) => (
            <li
              key={each}
              className={index < step ? css.past : index === step ? css.here : undefined}
              aria-current={index === step ? "step" : undefined}
            >
              <i aria-hidden="true" />
              {stateText(each)}
            </li>
          ))}
        </ol>
      )}
      {!update.is_over && share !== null && (update.bytes ?? 0) > 0 && (
        <div className={css.progress}>
          <progress value={share} max={1} aria-label={`Fetched of ${update.name} ${update.version}`} />
          <span className="small" data-quantity="fetched">
            {bytes(update.bytes ?? 0)} of {bytes(update.size ?? 0)}, {Math.floor(share * 100)}
            {"\u202f"}%
          </span>
        </div>
      )}
      {update.reason && <p className={BAD.includes(update.state) ? css.wrong : "muted"}>{update.reason}</p>}
      {!update.is_over && (
        <div className={css.foot}>
          <p className="small muted">
            {update.deadline && (
              <>
                This step ends <Ahead at={update.deadline} />, one way or the other.
              </>
            )}
            {update.state === ASKED && " The device was asked to install; it cannot be stopped now."}
          </p>
          {update.state !== ASKED && (
            <Button
              look="mini"
              blockedBy={blockedBy}
              isBusy={cancel.isPending}
              onClick={() => cancel.mutate(update.id)}
            >
              Stop
              <span className="sr">
                {" "}
                {update.name} {update.version}
              </span>
            </Button>
          )}
        </div>
      )}
      {cancel.isError && (
        <p className={css.wrong} role="alert">
          Not stopped {why(cancel.error)}
        </p>
      )}
    </li>
  );
}
