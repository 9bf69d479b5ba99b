/** What a device reports by itself: whether, when, why, and whether it does. */
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Asked, useAskDevice, useObserve } from "../../api/actions";
import { why } from "../../api/client";
import { foundQuery } from "../../api/queries";
import { Time } from "../../ui/age";
import { Button } from "../../ui/button";
import { useNow } from "../../ui/clock";
import { Dialog, DialogActions } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { Wrong } from "../../ui/notice";
import { duration, moment, unitWord } from "../../ui/words";
import {
  type Attributes,
  attributesFor,
  attributesText,
  difference,
  oneText,
  parse,
  setFor,
  textsOf,
} from "./attributes";
import css from "./objects.module.css";
import { Outcome, Refused } from "./outcome";
import { type Observation, useTree } from "./tree";

export type Reported = { path: string; name: string; type: string; units: string };

/** One sentence: does it report, and when. */
export function stateText(observation: Observation, units: string): string {
  const when = attributesText(observation.attributes, units);
  switch (observation.state) {
    case "established":
      if (observation.has_drifted) {
        const taken = attributesText(observation.taken ?? {}, units);
        return `reports, but not as asked (${when || "as it likes"}): ${taken || "as it likes"}`;
      }
      return when ? `reports ${when}` : "reports by itself";
    case "refused":
      return `refuses to report${observation.code ? ` (${observation.code})` : ""}`;
    case "lost":
      return "reports no more";
    case "waiting":
      return "to report, not asked yet";
    case "absent":
      return "to report, but the device has no such path";
    case "off":
      return "not to report";
    case "unwanted":
      return "reports, though nobody wants it";
  }
}

export function originText({ origin, by }: Observation): string {
  if (origin === "profile") return "its profile wants it";
  return origin === "device" ? `said by ${by} for this device` : "nobody said so";
}

export function ReportingNote({ observation, units }: { observation: Observation; units: string }) {
  const look = observation.has_drifted ? css.drifted : observation.state === "established" ? css.observed : css.unasked;
  return (
    <span className={look} title={originText(observation)}>
      {stateText(observation, units)}
    </span>
  );
}

type Mode = "profile" | "on" | "off";
type Texts = Record<string, string>;

export function ReportingDialog({
  about,
  observation,
  onClose,
}: {
  about: Reported;
  observation: Observation | undefined;
  onClose: () => void;
}) {
  const { device, name } = useTree();
  const { path, units } = about;
  const fields = attributesFor(path, about.type);
  const isSaid = observation?.origin === "device";
  const byProfile = observation?.origin === "profile";
  const [mode, setMode] = useState<Mode>(isSaid ? (observation.is_wanted ? "on" : "off") : "profile");
  const { data: found = {} } = useQuery(foundQuery(device));
  const onDevice = textsOf(found[path] ?? {});
  const textsFor = (chosen: Mode) =>
    chosen === "profile" && !byProfile ? onDevice : observation?.is_wanted ? textsOf(observation.attributes) : {};
  // What was typed, over what the form showed then: what is found meanwhile fills the form only while nobody typed.
  const [typed, setTyped] = useState<{ texts: Texts; began: Texts } | null>(null);
  const began = typed?.began ?? textsFor(mode);
  const texts = typed?.texts ?? began;
  const [wrong, setWrong] = useState<Texts>({});
  const observe = useObserve(device);
  const ask = useAskDevice(device);
  const choose = (chosen: Mode) => {
    setMode(chosen);
    setTyped(null);
    setWrong({});
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const parsed = parse(texts, fields);
    if ("wrong" in parsed) {
      setWrong(parsed.wrong);
      return;
    }
    const version = observation?.version ?? 0;
    await observe.mutateAsync({
      path,
      version,
      attributes: parsed.attributes,
      observe: mode === "profile" ? null : mode === "on",
    });
    // What no observation of ours carries is written by itself.
    const isFree = mode === "profile" && !byProfile && !isSaid;
    const changed = isFree ? difference(attributesOf(began, fields), parsed.attributes) : {};
    if (Object.keys(changed).length === 0) onClose();
    else ask.mutate({ operation: "attributes", path, attributes: changed });
  };
  return (
    <Dialog title={`Reporting: ${about.name}`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event).catch(() => undefined)} className={css.form} noValidate>
        <About path={path} observation={observation} units={units} />
        <SelectField
          label={`Does ${name} report this by itself?`}
          value={mode}
          autoFocus
          onChange={(event) => choose(event.target.value as Mode)}
        >
          <option value="profile">as its profile says</option>
          <option value="on">yes, on this device</option>
          <option value="off">no, not on this device</option>
        </SelectField>
        {mode === "profile" && byProfile && (
          <p className="small muted">Its profile says when. Choose “yes, on this device” to say something else here.</p>
        )}
        {(mode === "on" || (mode === "profile" && !byProfile && !isSaid)) && (
          <Form
            fields={fields}
            texts={texts}
            wrong={wrong}
            units={units}
            onTexts={(changed) => setTyped({ texts: changed, began })}
            mode={mode}
          />
        )}
        <OnDevice path={path} units={units} />
        {observe.isError && <Wrong>Not saved {why(observe.error)}</Wrong>}
        <Said ask={ask} />
        <DialogActions>
          <Button onClick={onClose}>{ask.isSuccess ? "Close" : "Leave it"}</Button>
          <Button look="primary" type="submit" isBusy={observe.isPending || ask.isPending}>
            Save
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}

function attributesOf(texts: Texts, fields: ReturnType<typeof attributesFor>): Attributes {
  const parsed = parse(texts, fields);
  return "attributes" in parsed ? parsed.attributes : {};
}

function About({ path, observation, units }: { path: string; observation: Observation | undefined; units: string }) {
  const { name } = useTree();
  const now = useNow(60_000);
  return (
    <p className="small muted">
      {name}, <code>{path}</code>
      {observation && (
        <>
          : {stateText(observation, units)}
          {observation.since && (
            <>
              {" "}
              since <Time at={observation.since} text={moment(new Date(observation.since), now)} />
            </>
          )}
          ; {originText(observation)}.
        </>
      )}
    </p>
  );
}

function Form({
  fields,
  texts,
  wrong,
  units,
  mode,
  onTexts,
}: {
  fields: ReturnType<typeof attributesFor>;
  texts: Texts;
  wrong: Texts;
  units: string;
  mode: Mode;
  onTexts: (texts: Texts) => void;
}) {
  const isSet = fields.some(({ name }) => texts[name]);
  const isMoreSet = fields.some(({ name, isUsual }) => !isUsual && (texts[name] || wrong[name]));
  const field = ({ name, label, kind, hint }: (typeof fields)[number]) => {
    const text = texts[name] ?? "";
    const shared = { label, wrong: wrong[name] ?? null, value: text };
    const change = (value: string) => onTexts({ ...texts, [name]: value });
    if (kind === "yes" || kind === "edge") {
      return (
        <SelectField key={name} {...shared} hint={hint} onChange={(event) => change(event.target.value)}>
          <option value="">not said</option>
          <option value="1">yes</option>
          <option value="0">no</option>
        </SelectField>
      );
    }
    const unit = kind === "seconds" ? "in seconds" : kind === "count" ? "values" : units && `in ${unitWord(units)}`;
    const spelled = kind === "seconds" && Number(text) >= 60 && `that is ${duration(Number(text) * 1000)}`;
    return (
      <TextField
        key={name}
        {...shared}
        inputMode={kind === "value" ? "text" : "numeric"}
        autoComplete="off"
        placeholder="not said"
        hint={[unit, spelled, hint].filter(Boolean).join("; ")}
        onChange={(event) => change(event.target.value)}
      />
    );
  };
  return (
    <fieldset className={css.attributes}>
      <legend>{mode === "on" ? "When" : "When, if something observes it or what lies beneath"}</legend>
      <div className={css.pairs}>{fields.filter(({ isUsual }) => isUsual).map(field)}</div>
      <details open={isMoreSet}>
        <summary>More</summary>
        <div className={css.pairs}>{fields.filter(({ isUsual }) => !isUsual).map(field)}</div>
      </details>
      <div>
        <Button blockedBy={isSet ? null : "Nothing is set."} onClick={() => onTexts({})}>
          Clear all
        </Button>
      </div>
    </fieldset>
  );
}

/** What the device says is set, here and above; it is asked when somebody wants to know, for that costs battery. */
function OnDevice({ path, units }: { path: string; units: string }) {
  const { device, name } = useTree();
  const { data: found } = useQuery(foundQuery(device));
  const ask = useAskDevice(device);
  const top = `/${path.split("/")[1]}`;
  const lines = found ? setFor(path, found) : [];
  const isKnown = found !== undefined && Object.keys(found).some((each) => each === top || each.startsWith(`${top}/`));
  return (
    <section className={css.onDevice} aria-label="Set on the device">
      <h3 className="small">Set on the device</h3>
      {!isKnown && <p className="small muted">Not asked yet.</p>}
      {isKnown && lines.length === 0 && <p className="small muted">Nothing is set for this path.</p>}
      <ul>
        {lines.map(({ attribute, value, from }) => (
          <li key={attribute.name} className={from === path ? undefined : "muted"}>
            {oneText(attribute, value === true ? "1" : value, units)}
            {from !== path && (
              <span className="small">
                {" "}
                from <code>{from}</code>
              </span>
            )}
          </li>
        ))}
      </ul>
      <div>
        <Button isBusy={ask.isPending} onClick={() => ask.mutate({ operation: "discover", path: top })}>
          Ask {name}
        </Button>
      </div>
      <Said ask={ask} />
    </section>
  );
}

/** What came of the last thing that was asked, where it was asked. */
export function Said({ ask }: { ask: ReturnType<typeof useAskDevice> }) {
  const { name } = useTree();
  return (
    <div className={css.outcome} role="status">
      {ask.isPending && <p className="muted">{pendingText(ask.variables, name)}</p>}
      {ask.isError && <Refused error={ask.error} asked={ask.variables} />}
      {ask.isSuccess && <Outcome outcome={ask.data} asked={ask.variables} onGone={ask.reset} />}
    </div>
  );
}

export function pendingText(asked: Asked, name: string): string {
  if (asked.operation !== "write") return `Asking ${name}`;
  const value = "values" in asked ? Object.values(asked.values).join(", ") : String(asked.value);
  return `Writing ${value.length > 40 ? `${value.slice(0, 40)} …` : value}, then reading it back`;
}
