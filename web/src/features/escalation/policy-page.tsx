/** One policy as a form, with the picture of what it says. Nothing is saved before Save is pressed. */
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useBlockedBy } from "../../api/actions";
import type { Shown } from "../../api/client";
import { useRemovePolicy, useWritePolicy } from "../../api/escalation";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Empty, Wrong } from "../../ui/notice";
import { capital } from "../../ui/words";
import { Area, type Screen } from "./area";
import { type Draft, drafted, written } from "./draft";
import css from "./escalation.module.css";
import { Picture } from "./picture";
import { Remove } from "./remove";
import { refusal, repeats, secondsOf } from "./said";
import { Several } from "./several";
import { EVERYBODY, nameOf, Steps } from "./steps";

type Policy = Shown["PolicyShown"];
type Change = (more: Partial<Draft>) => void;

const SEVERITIES = ["critical", "high", "warning", "informational"];

export function PolicyPage() {
  const { policy: wanted } = useParams({ from: "/inside/escalation/$policy" });
  return (
    <Area title="Escalation policy">
      {(screen) => {
        const policy = screen.policies.find((each) => each.id === wanted) ?? null;
        if (policy || wanted === "new") return <Form key={wanted} screen={screen} policy={policy} />;
        return (
          <div className="card">
            <Empty title="There is no such policy any more.">
              <p>
                <Link to="/escalation">All policies</Link>
              </p>
            </Empty>
          </div>
        );
      }}
    </Area>
  );
}

function Form({ screen, policy }: { screen: Screen; policy: Policy | null }) {
  const [draft, setDraft] = useState(() => drafted(policy));
  // What the person began with: a version that comes meanwhile must not make an old draft look like a new one.
  const [seen] = useState(() => policy && { id: policy.id, version: policy.version });
  const navigate = useNavigate();
  const write = useWritePolicy();
  const remove = useRemovePolicy();
  const blockedBy = useBlockedBy("administer");
  const change: Change = (more) => setDraft({ ...draft, ...more });
  const leave = () => void navigate({ to: "/escalation" });
  const body = written(draft);
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (blockedBy === null && body) write.mutate({ seen, body }, { onSuccess: leave });
  };
  return (
    <form onSubmit={save} className={css.stack} noValidate>
      <section className="card pad" aria-label="What it says">
        <Drawn screen={screen} draft={draft} />
      </section>
      <section className={`card pad ${css.part}`} aria-label="For which alerts">
        <h2>For which alerts</h2>
        <TextField
          label="Name"
          value={draft.name}
          maxLength={100}
          autoComplete="off"
          onChange={(event) => change({ name: event.target.value })}
        />
        {policy?.is_default ? (
          <p className="muted">The default: for all alerts that no other policy is for.</p>
        ) : (
          <Matches screen={screen} draft={draft} change={change} />
        )}
      </section>
      <section className={`card pad ${css.part}`} aria-label="Who is told">
        <h2>Who is told</h2>
        {screen.contacts.length === 0 && (
          <p className="muted">
            There are no contacts yet. <Link to="/settings/contacts">Add the first one</Link>
          </p>
        )}
        <Steps screen={screen} steps={draft.steps} onChange={(steps) => change({ steps })} />
      </section>
      <Frames draft={draft} change={change} />
      <div className={css.save}>
        {write.isError && <Wrong>{refusal(write.error)}</Wrong>}
        {body === null && <Wrong>A time is not a number of minutes.</Wrong>}
        {blockedBy && <p className="small muted">{blockedBy}</p>}
        <p className="small muted">Open alerts keep the policy that they opened under.</p>
        <span className="space" />
        {policy && !policy.is_default && (
          <Remove
            what={policy.name}
            says="Its alerts go to the next policy that is for them. Open ones go on as they are."
            blockedBy={blockedBy}
            removal={remove}
            onRemove={() => remove.mutate(policy, { onSuccess: leave })}
          />
        )}
        <Button onClick={leave}>Leave it</Button>
        <Button look="primary" type="submit" blockedBy={blockedBy} isBusy={write.isPending}>
          {write.isPending ? "Saving" : "Save"}
        </Button>
      </div>
    </form>
  );
}

function Drawn({ screen, draft }: { screen: Screen; draft: Draft }) {
  return (
    <Picture
      steps={draft.steps.map((step) => ({
        after_s: secondsOf(step.minutes) || 0,
        who: step.contacts.map((contact) => nameOf(screen, contact)),
        channels: step.channels,
        at_once: step.isAtOnce,
      }))}
      end={repeats(
        { repeat: Number(draft.repeat) || 0, repeat_every_s: secondsOf(draft.every) || null },
        draft.steps.at(-1)?.contacts.includes(EVERYBODY) ?? false,
      )}
    />
  );
}

function Matches({ screen, draft, change }: { screen: Screen; draft: Draft; change: Change }) {
  const toggle = (one: string) =>
    change({
      severities: draft.severities.includes(one)
        ? draft.severities.filter((each) => each !== one)
        : [...draft.severities, one],
    });
  return (
    <>
      <fieldset className={css.choices}>
        <legend>Severities (none: all)</legend>
        {SEVERITIES.map((severity) => (
          <label key={severity}>
            <input type="checkbox" checked={draft.severities.includes(severity)} onChange={() => toggle(severity)} />
            {capital(severity)}
          </label>
        ))}
      </fieldset>
      <Several
        label="Places (none: everywhere)"
        add="Add a place"
        chosen={draft.places}
        known={screen.places}
        onChange={(places) => change({ places })}
      />
    </>
  );
}

const FRAMES = [
  ["acknowledge", "Acknowledge within (min)", "Empty: as the severity says"],
  ["resolve", "Resolve within (min)", "After that it needs somebody again"],
  ["repeat", "Rounds after the first", "Then everybody is told"],
  ["every", "A round every (min)", "Empty: the time to acknowledge"],
] as const;

function Frames({ draft, change }: { draft: Draft; change: Change }) {
  return (
    <section className={`card pad ${css.part}`} aria-label="Time frames">
      <h2>Time frames</h2>
      <div className={css.frames}>
        {FRAMES.map(([name, label, hint]) => (
          <TextField
            key={name}
            label={label}
            hint={hint}
            inputMode="decimal"
            autoComplete="off"
            value={draft[name]}
            onChange={(event) => change({ [name]: event.target.value })}
          />
        ))}
      </div>
    </section>
  );
}
