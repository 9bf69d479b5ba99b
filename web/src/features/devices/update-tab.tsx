/** Firmware and models: what runs, what is on its way and how far, what could be next. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { type Delivery, useBlockedBy, useCancelUpdate, useRollBack, useStartUpdate } from "../../api/actions";
import { type Shown, why } from "../../api/client";
import { updatesQuery } from "../../api/queries";
import { Age, Ahead } from "../../ui/age";
import { Button } from "../../ui/button";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField } from "../../ui/field";
import { Empty, Failed, Skeleton, Wrong } from "../../ui/notice";
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
                  <One key={update.id} device={device} update={update} others={data.updates} />
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
  const blockedBy = useBlockedBy("update_firmware");
  const [picked, setPicked] = useState<string | null>(null);
  const [delivery, setDelivery] = useState<Delivery>("automatic");
  const chosen =
    screen.artifacts.find((each) => each.id === picked) ?? screen.artifacts.find((each) => !runs(screen, each));
  const under = screen.updates.find((update) => !update.is_over);
  const reason =
    blockedBy ??
    (under
      ? `${under.name} ${under.version} is ${under.state === TRIAL ? "on trial" : stateText(under.state)}: one update at a time.`
      : null) ??
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
          <SelectField
            label="Delivery"
            value={delivery}
            onChange={(event) => setDelivery(event.target.value as Delivery)}
          >
            {DELIVERIES.map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </SelectField>
          <Button
            look="primary"
            blockedBy={reason}
            isBusy={start.isPending}
            onClick={() => chosen && start.mutate({ artifact: chosen.id, delivery })}
          >
            {chosen ? `Install ${chosen.name} ${chosen.version}` : "Install"}
          </Button>
        </div>
      )}
      {chosen && !under && !blockedBy && (
        <p className="small muted">
          {delivery === "push"
            ? `We write ${chosen.size === null ? "it" : bytes(chosen.size)} into the device when it is awake.`
            : `The device fetches ${chosen.size === null ? "it" : bytes(chosen.size)} when it is awake.`}{" "}
          It installs it, restarts, and is watched: if something goes wrong that was not wrong before, it goes back to
          what it ran. Until it installs, it can be stopped.
        </p>
      )}
      {reason && (under || blockedBy) && <p className="small muted">{reason}</p>}
      {start.isError && <Wrong>Not started {why(start.error)}</Wrong>}
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

const DELIVERIES: { value: Delivery; label: string }[] = [
  { value: "automatic", label: "automatic" },
  { value: "pull", label: "pull: it fetches" },
  { value: "push", label: "push: we write" },
];

/** Where an update is on its way; the ends stand apart. */
const WAY = ["waiting", "resetting", "downloading", "downloaded", "installing", "trial", "confirmed"];
/** The device has been asked, and cannot be called back. */
const ASKED = "installing";
/** It runs the new version and is watched; there is a way back, but nothing to stop. */
const TRIAL = "trial";
const BAD = ["failed", "rolled-back", "needs-attention"];

export function stateText(state: string): string {
  return state.replaceAll("-", " ");
}

/** How it came, or comes: "fetched over https", "pushed". */
function carriedText({ delivery, over, state, is_over }: Update): string {
  if (!delivery) return "";
  const isThere = is_over || WAY.indexOf(state) >= WAY.indexOf("downloaded");
  if (delivery === "push") return isThere ? "pushed" : "push";
  return `${isThere ? "fetched" : "fetches"}${over ? ` over ${over}` : ""}`;
}

function One({ device, update, others }: { device: string; update: Update; others: Update[] }) {
  const cancel = useCancelUpdate(device);
  const undone = others.find((each) => each.id === update.undoes);
  const back = others.find((each) => each.id === update.undone_by);
  const blockedBy = useBlockedBy("update_firmware");
  const share = update.size ? Math.min(1, (update.bytes ?? 0) / update.size) : null;
  const step = WAY.indexOf(update.state);
  return (
    <li className={css.update}>
      <div className={css.updateHead}>
        <b>
          {update.name} {update.version}
        </b>
        {update.undoes ? (
          <span className="small muted">
            roll back{undone && ` of ${undone.version}`}
            {!update.by && ", by itself"}
          </span>
        ) : (
          update.from_version && <span className="small muted">from {update.from_version}</span>
        )}
        <span className={`${css.tag} ${BAD.includes(update.state) ? css.badTag : update.is_over ? "" : css.liveTag}`}>
          {stateText(update.state)}
        </span>
        <span className="space" />
        <span className="small muted">
          {carriedText(update) && `${carriedText(update)}, `}
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
      {!update.is_over && update.state !== TRIAL && share !== null && (update.bytes ?? 0) > 0 && (
        <div className={css.progress}>
          <progress value={share} max={1} aria-label={`Fetched of ${update.name} ${update.version}`} />
          <span className="small" data-quantity="fetched">
            {bytes(update.bytes ?? 0)} of {bytes(update.size ?? 0)}, {Math.floor(share * 100)}
            {"\u202f"}%
          </span>
        </div>
      )}
      {update.reason && <p className={BAD.includes(update.state) ? css.wrong : "muted"}>{update.reason}</p>}
      {back && (
        <p className="small muted">
          Taken back to {back.name} {back.version}: {stateText(back.state)}.
        </p>
      )}
      {!update.is_over && (
        <div className={css.foot}>
          <p className="small muted">
            {update.deadline && update.state === TRIAL && (
              <>
                It runs the new version and is watched. That ends <Ahead at={update.deadline} />.{" "}
                {update.undoes
                  ? "If something goes wrong, somebody must look."
                  : update.previous_version
                    ? `If something goes wrong that was not wrong before, it goes back to ${update.previous_version}.`
                    : "If something goes wrong, somebody must look: nothing that came from here ran before."}
              </>
            )}
            {update.deadline && update.state !== TRIAL && (
              <>
                This step ends <Ahead at={update.deadline} />, one way or the other.
              </>
            )}
            {update.state === ASKED && " The device was asked to install; it cannot be stopped now."}
          </p>
          {update.state !== ASKED && update.state !== TRIAL && (
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
      {update.can_roll_back && <RollBack device={device} update={update} />}
      {cancel.isError && <Wrong>Not stopped {why(cancel.error)}</Wrong>}
    </li>
  );
}

/** Back to what it ran before; asked twice, because it is as much of an update as the one it undoes. */
function RollBack({ device, update }: { device: string; update: Update }) {
  const rollBack = useRollBack(device);
  const blockedBy = useBlockedBy("update_firmware");
  const [isAsking, setAsking] = useState(false);
  return (
    <div className={css.back}>
      <Button look="mini" blockedBy={blockedBy} isBusy={rollBack.isPending} onClick={() => setAsking(true)}>
        Roll back
        <span className="sr">
          {" "}
          {update.name} {update.version}
        </span>
      </Button>
      {rollBack.isError && <Wrong>Not rolled back {why(rollBack.error)}</Wrong>}
      {isAsking && (
        <Dialog title={`Back to ${update.name} ${update.previous_version}?`} onClose={() => setAsking(false)}>
          <p>
            The device gets {update.previous_version} again, installs it and restarts; readings are missing for a while.
            {update.state === TRIAL && ` The watch over ${update.version} ends here.`}
          </p>
          <DialogActions>
            <Button onClick={() => setAsking(false)}>Keep {update.version}</Button>
            <Button
              look="danger"
              onClick={() => {
                setAsking(false);
                rollBack.mutate(update.id);
              }}
            >
              Roll back
            </Button>
          </DialogActions>
        </Dialog>
      )}
    </div>
  );
}
