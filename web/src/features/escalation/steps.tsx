/** The steps of a policy, each with its time, its people and how they are reached. */
import { Button } from "../../ui/button";
import { SelectField, TextField } from "../../ui/field";
import type { Screen } from "./area";
import type { StepDraft } from "./draft";
import css from "./escalation.module.css";
import { minutesOf, secondsOf, way } from "./said";
import { Several } from "./several";

export const EVERYBODY = "everybody";
const CHANNELS = ["email", "webhook", "dashboard"];
const AT_ONCE = "at once";
/** A step that nobody has thought about yet comes when the one before should have answered. */
const NEXT_STEP_S = 300;

export function Steps({
  screen,
  steps,
  onChange,
}: {
  screen: Screen;
  steps: StepDraft[];
  onChange: (steps: StepDraft[]) => void;
}) {
  const people = [{ id: EVERYBODY, name: "Everybody" }, ...screen.contacts];
  const set = (key: number, more: Partial<StepDraft>) =>
    onChange(steps.map((step) => (step.key === key ? { ...step, ...more } : step)));
  const add = () => {
    const minutes = minutesOf((secondsOf(steps.at(-1)?.minutes ?? "") || 0) + NEXT_STEP_S);
    const key = Math.max(0, ...steps.map((step) => step.key)) + 1;
    onChange([...steps, { key, minutes, contacts: [], channels: [], isAtOnce: false }]);
  };
  return (
    <>
      <ol className={css.steps}>
        {steps.map((step, index) => (
          <li key={step.key}>
            <fieldset className={css.step}>
              <legend>Step {index + 1}</legend>
              <TextField
                label="After (min)"
                inputMode="decimal"
                autoComplete="off"
                value={step.minutes}
                onChange={(event) => set(step.key, { minutes: event.target.value })}
              />
              <Several
                label="Who"
                add="Add somebody"
                chosen={step.contacts}
                known={people}
                onChange={(contacts) => set(step.key, { contacts })}
              />
              <How step={step} onChange={(more) => set(step.key, more)} />
              {steps.length > 1 && (
                <Button
                  look="quiet"
                  aria-label={`Remove step ${index + 1}`}
                  onClick={() => onChange(steps.filter((each) => each.key !== step.key))}
                >
                  Remove
                </Button>
              )}
            </fieldset>
          </li>
        ))}
      </ol>
      <div>
        <Button onClick={add}>Add a step</Button>
      </div>
    </>
  );
}

function How({ step, onChange }: { step: StepDraft; onChange: (more: Partial<StepDraft>) => void }) {
  const order = step.channels.join(",");
  // What a program has written may name several in an order; that stays a choice.
  const orders = [...new Set(["", ...CHANNELS, order])];
  return (
    <SelectField
      label="How"
      value={step.isAtOnce ? AT_ONCE : order}
      onChange={({ target }) =>
        onChange(
          target.value === AT_ONCE
            ? { isAtOnce: true }
            : { isAtOnce: false, channels: target.value.split(",").filter(Boolean) },
        )
      }
    >
      {orders.map((each) => (
        <option key={each} value={each}>
          {each === "" ? "their first way that works" : `${each.split(",").map(way).join(", then ")} first`}
        </option>
      ))}
      <option value={AT_ONCE}>all their ways at once</option>
    </SelectField>
  );
}

export function nameOf(screen: Screen, contact: string): string {
  if (contact === EVERYBODY) return "Everybody";
  return screen.contacts.find((each) => each.id === contact)?.name ?? "removed";
}
